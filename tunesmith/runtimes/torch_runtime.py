"""The reference runtime: PyTorch, float32, on the processor or a GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch

from tunesmith.bases import (
    available_cores,
    choose_device,
    load_classifier,
    load_tokenizer,
    score,
    set_threads,
    tokenize,
)
from tunesmith.bundles import Bundle
from tunesmith.errors import DataError
from tunesmith.tasks import Task
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """A bundle's `model/` in PyTorch; see `Runtime` for the contract."""

    def __init__(self, bundle: Bundle) -> None:
        """Loads the model and its tokenizer.

        Raises:
            BundleError: the model does not fit the manifest.
            BaseModelError: the model's folder cannot be opened.
        """
        self._task = bundle.task
        self._version = bundle.version
        facts = bundle.manifest.base
        self._max_length = facts.max_length
        self._tokenizer = load_tokenizer(bundle.model_path)
        # More threads than cores, as under a container's quota, wait for each other.
        if torch.get_num_threads() > available_cores():
            set_threads(None)
        self._model = load_classifier(
            bundle.model_path, facts.pooling, self._task.head.size, adapter=bundle.adapter_path
        )
        self._model.to(choose_device())
        # The tokenizer keeps its truncation as state, and the model uses every core by itself.
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return "torch-fp32"

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
        with self._lock:
            tokens = tokenize(self._tokenizer, inputs, self._max_length)
            return Outputs(scores=score(self._model, tokens))

    def count_tokens(self, inputs: Sequence[Inputs]) -> list[int]:
        with self._lock:
            tokens = tokenize(self._tokenizer, inputs, self._max_length)
        return [int(length) for length in tokens.full_lengths]

    def predict(self, items: Sequence[object]) -> list[Prediction]:
        if isinstance(items, str):
            raise DataError("give a list of texts, not one text", mend=f"predict([{items[:40]!r}])")
        if not items:
            return []
        return self._task.decode(self.outputs([self._task.read(item) for item in items]))
