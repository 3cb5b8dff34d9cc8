"""What runtimes share whose model reads token ids: everything but the model itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tunesmith.bases import TokenizedDataset, gathered, tokenize
from tunesmith.bundles import Bundle
from tunesmith.errors import DataError
from tunesmith.tasks import Task
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["TokenizingRuntime"]


class TokenizingRuntime:
    """The `Runtime` contract, but for the model: a function from token ids to outputs."""

    def __init__(
        self,
        bundle: Bundle,
        name: str,
        tokenizer: Any,
        run: Callable[[TokenizedDataset], Outputs],
        *,
        embedding_size: int | None,
    ) -> None:
        """Keeps what it is given.

        Args:
            name: what the runtime is called, such as "onnx-int8".
            tokenizer: as `tokenize` takes it.
            run: the outputs of n tokenised inputs; called one at a time.
            embedding_size: see `Runtime`.
        """
        self._task = bundle.task
        self._version = bundle.version
        self._max_length = bundle.manifest.base.max_length
        self._name = name
        self._tokenizer = tokenizer
        self._run = run
        self._embedding_size = embedding_size
        # The tokenizer keeps its truncation as state; the model uses every core by itself.
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
    def embedding_size(self) -> int | None:
        return self._embedding_size

    @property
    def version(self) -> str:
        return self._version

    def outputs(self, inputs: Sequence[Inputs]) -> Outputs:
        return self._outputs(self.tokenize(inputs))

    def run(self, rows: Sequence[tuple[TokenizedDataset, int]], *, beside: bool = False) -> Outputs:
        if beside:
            return self._run_beside(gathered(rows))
        return self._outputs(gathered(rows))

    def open_lanes(self) -> int:
        return 1

    def close_lanes(self) -> None: ...

    def tokenize(self, inputs: Sequence[Inputs]) -> TokenizedDataset:
        with self._reading:
            return tokenize(self._tokenizer, inputs, self._max_length)

    def count_tokens(self, inputs: Sequence[Inputs]) -> list[int]:
        return [int(length) for length in self.tokenize(inputs).full_lengths]

    def predict(self, items: Sequence[object]) -> list[Prediction]:
        if isinstance(items, str):
            raise DataError("give a list of texts, not one text", mend=f"predict([{items[:40]!r}])")
        if not items:
            return []
        return self._task.decode(self.outputs([self._task.read(item) for item in items]))

    def _outputs(self, tokens: TokenizedDataset) -> Outputs:
        with self._running:
            return self._run(tokens)

    def _run_beside(self, tokens: TokenizedDataset) -> Outputs:
        """A call beside others, where `open_lanes` gives more than 1; else as ever."""
        return self._outputs(tokens)
