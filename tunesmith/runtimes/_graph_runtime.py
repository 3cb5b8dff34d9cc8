"""A bundle whose graph runs on a library without torch: texts to arrays, arrays to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import (
    PlainTokenizer,
    TokenizedDataset,
    available_cores,
    sorted_batches,
)
from tunesmith.bundles import Bundle, RuntimeFacts, TokenizerFacts
from tunesmith.errors import BundleError
from tunesmith.runtimes._tokenizing import TokenizingRuntime
from tunesmith.types import Outputs

__all__ = ["Graph", "GraphRuntime"]

Graph: TypeAlias = Callable[[Mapping[str, NDArray[np.int64]]], Mapping[str, NDArray[np.float32]]]
"""Runs the graph on "input_ids", "attention_mask" and, where the base reads them, "token_type_ids",
each int64 [b, length], and gives "scores", float32 [b, labels], and "states", float32 [b, hidden]:
but for graphs from before there were embeddings. Safe for as many calls at once as it was loaded
for."""

_MOST_LANES = 8
"""With more cores each lane has several."""


class GraphRuntime(TokenizingRuntime):
    """A bundle's graph behind the `Runtime` contract; see there.

    What differs from library to library is `graph` alone.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str,
        facts: RuntimeFacts,
        tokenizer: TokenizerFacts,
        open_graph: Callable[[int], Graph],
    ) -> None:
        """Reads the tokenizer, verified, and loads the graph.

        Args:
            name: what the runtime is called, such as "onnx-int8".
            open_graph: loads the graph for so many calls side by side, which share the cores.

        Raises:
            BundleError: a file was changed since the bundle was opened, or is no graph.
            BaseModelError: there is no tokenizer.json that can be read.
        """
        self._one_at_a_time = facts.one_at_a_time
        self._open_graph = open_graph
        self._graph = open_graph(1)
        self._lanes: Graph | None = None
        hidden_size = bundle.hidden_size
        self._sizes = {"scores": bundle.task.head.size, "states": hidden_size}
        plain = PlainTokenizer.load(bundle, tokenizer)
        size = hidden_size if facts.embeds else None
        super().__init__(bundle, name, plain, self._run_graph, embedding_size=size)

    def open_lanes(self) -> int:
        num = min(available_cores(), _MOST_LANES)
        if num > 1 and self._lanes is None:
            self._lanes = self._open_graph(num)
        return num

    def close_lanes(self) -> None:
        self._lanes = None

    def _run_graph(self, tokens: TokenizedDataset) -> Outputs:
        return self._outputs_of(self._graph, tokens)

    def _run_beside(self, tokens: TokenizedDataset) -> Outputs:
        return self._outputs_of(self._lanes or self._graph, tokens)

    def _outputs_of(self, graph: Graph, tokens: TokenizedDataset) -> Outputs:
        found: dict[str, NDArray[np.float32]] = {}
        for indices in self._batches(tokens):
            for name, values in self._of_batch(graph, tokens.arrays(indices)).items():
                if name not in found:
                    found[name] = np.empty((len(tokens), self._sizes[name]), dtype=np.float32)
                found[name][indices] = values
        return Outputs(scores=found.get("scores"), states=found.get("states"))

    def _batches(self, tokens: TokenizedDataset) -> Iterator[NDArray[np.int64]]:
        if self._one_at_a_time:
            return iter(np.arange(len(tokens)).reshape(-1, 1))
        return sorted_batches(tokens.lengths)

    def _of_batch(
        self, graph: Graph, arrays: dict[str, NDArray[np.int64]]
    ) -> Mapping[str, NDArray[np.float32]]:
        if "attention_mask" not in arrays:
            arrays["attention_mask"] = np.ones_like(arrays["input_ids"])
        found = graph(arrays)
        for name, values in found.items():
            expected = (len(arrays["input_ids"]), self._sizes.get(name))
            if values.shape != expected:
                raise BundleError(
                    f"the graph of {self.name} gives {name} of {values.shape}, not {expected}",
                    mend="run `tunesmith optimize` again",
                )
        return found
