"""PyTorch, on the processor or a GPU; in float32 the reference for every other runtime."""

from __future__ import annotations

from typing import Literal

import torch

from tunesmith.bases import (
    Precision,
    TokenizedDataset,
    available_cores,
    choose_device,
    load_classifier,
    load_tokenizer,
    score_features,
    set_threads,
)
from tunesmith.bundles import Bundle
from tunesmith.runtimes._tokenizing import TokenizingRuntime
from tunesmith.types import Outputs

__all__ = ["TorchRuntime"]


class TorchRuntime(TokenizingRuntime):
    """A bundle's `model/` in PyTorch; see `Runtime` for the contract."""

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "fp32",
        *,
        device: Literal["cpu", "gpu"] | None = None,
        embeds: bool = True,
    ) -> None:
        """Loads the model and its tokenizer.

        Args:
            precision: of the base's layers; pooling and head work in float32.
            device: None: the GPU where there is one.
            embeds: whether its pooled states may be given as embeddings.

        Raises:
            BundleError: the model does not fit the manifest.
            BaseModelError: the model's folder cannot be opened.
        """
        facts = bundle.manifest.base
        # More threads than cores, as under a container's quota, wait for each other.
        if torch.get_num_threads() > available_cores():
            set_threads(None)
        model = load_classifier(
            bundle.model_path, facts.pooling, bundle.task.head.size, adapter=bundle.adapter_path
        ).at(precision)
        model.to(torch.device("cpu") if device == "cpu" else choose_device())
        tokenizer = load_tokenizer(bundle.model_path)

        def run(tokens: TokenizedDataset) -> Outputs:
            scores, states = score_features(model, tokens)
            return Outputs(scores=scores, states=states)

        name, size = f"torch-{precision}", model.head.in_features
        super().__init__(bundle, name, tokenizer, run, embedding_size=size if embeds else None)
