"""A bundle whose graph runs on a library without torch: texts to arrays, arrays to scores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import (
    PlainTokenizer,
    TokenizedDataset,
    gathered,
    sorted_batches,
    tokenize,
)
from tunesmith.bundles import Bundle, RuntimeFacts, TokenizerFacts
from tunesmith.errors import BundleError
from tunesmith.runtimes._predict import predict
from tunesmith.tasks import Task
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["Graph", "GraphRuntime"]

Graph: TypeAlias = Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]
"""Runs the graph on "input_ids", "attention_mask" and, where the base reads them, "token_type_ids",
each int64 [b, length], and gives the scores, float32 [b, labels]."""


class GraphRuntime:
    """A bundle's graph behind the `Runtime` contract; see there.

    What differs from library to library is `graph` alone.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str,
        facts: RuntimeFacts,
        tokenizer: TokenizerFacts,
        graph: Graph,
    ) -> None:
        """Reads the tokenizer.

        Args:
            name: what the runtime is called, such as "onnx-int8".
            graph: the loaded graph.

        Raises:
            BaseModelError: there is no tokenizer.json that can be read.
        """
        self._task = bundle.task
        self._version = bundle.version
        self._max_length = bundle.manifest.base.max_length
        self._name = name
        self._one_at_a_time = facts.one_at_a_time
        self._tokenizer = PlainTokenizer.load(bundle.model_path, **tokenizer.model_dump())
        self._graph = graph
        # The tokenizer keeps its truncation as state; the graph uses every core by itself.
        self._reading, self._running = threading.Lock(), threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def task(self) -> Task:
        return self._task

    @property
    def max_length(self) -> int:
        return self._max_length

    @property
    def version(self) -> str:
        return self._version

    def outputs(self, inputs: Sequence[Inputs]) -> Outputs:
        return self._outputs(self.tokenize(inputs))

    def run(self, rows: Sequence[tuple[TokenizedDataset, int]]) -> Outputs:
        return self._outputs(gathered(rows))

    def _outputs(self, tokens: TokenizedDataset) -> Outputs:
        scores = np.empty((len(tokens), self._task.head.size), dtype=np.float32)
        with self._running:
            for indices in self._batches(tokens):
                scores[indices] = self._scores(tokens.arrays(indices))
        return Outputs(scores=scores)

    def count_tokens(self, inputs: Sequence[Inputs]) -> list[int]:
        return [int(length) for length in self.tokenize(inputs).full_lengths]

    def tokenize(self, inputs: Sequence[Inputs]) -> TokenizedDataset:
        with self._reading:
            return tokenize(self._tokenizer, inputs, self._max_length)

    def predict(self, items: Sequence[object]) -> list[Prediction]:
        return predict(self, items)

    def _batches(self, tokens: TokenizedDataset) -> Iterator[NDArray[np.int64]]:
        if self._one_at_a_time:
            return iter(np.arange(len(tokens)).reshape(-1, 1))
        return sorted_batches(tokens.lengths)

    def _scores(self, arrays: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        if "attention_mask" not in arrays:
            arrays["attention_mask"] = np.ones_like(arrays["input_ids"])
        scores = self._graph(arrays)
        expected = (len(arrays["input_ids"]), self._task.head.size)
        if scores.shape != expected:
            raise BundleError(
                f"the graph of {self._name} gives scores of shape {scores.shape}, not {expected}",
                mend="run `tunesmith optimize` again",
            )
        return scores
