"""PyTorch, on the processor or a GPU; in float32 the reference for every other runtime."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

import torch

from tunesmith.bases import (
    Precision,
    TokenizedDataset,
    available_cores,
    choose_device,
    gathered,
    load_classifier,
    load_tokenizer,
    score,
    set_threads,
    tokenize,
)
from tunesmith.bundles import Bundle
from tunesmith.runtimes._predict import predict
from tunesmith.tasks import Task
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """A bundle's `model/` in PyTorch; see `Runtime` for the contract."""

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "fp32",
        *,
        device: Literal["cpu", "gpu"] | None = None,
    ) -> None:
        """Loads the model and its tokenizer.

        Args:
            precision: of the base's layers; pooling and head work in float32.
            device: None: the GPU where there is one.

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
        self._model = self._model.at(precision)
        self._model.to(torch.device("cpu") if device == "cpu" else choose_device())
        self._precision = precision
        # The tokenizer keeps its truncation as state; the model uses every core by itself.
        self._reading, self._running = threading.Lock(), threading.Lock()

    @property
    def name(self) -> str:
        return f"torch-{self._precision}"

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
        with self._running:
            return Outputs(scores=score(self._model, tokens))

    def count_tokens(self, inputs: Sequence[Inputs]) -> list[int]:
        return [int(length) for length in self.tokenize(inputs).full_lengths]

    def tokenize(self, inputs: Sequence[Inputs]) -> TokenizedDataset:
        with self._reading:
            return tokenize(self._tokenizer, inputs, self._max_length)

    def predict(self, items: Sequence[object]) -> list[Prediction]:
        return predict(self, items)
