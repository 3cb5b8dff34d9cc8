"""Which of a base's own weights are trained, by method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from torch import nn

from tunesmith.bases._classifier import Classifier
from tunesmith.bases._layers import layers_of, name_of, names_in_order
from tunesmith.errors import ConfigError

__all__ = ["PartialMethod", "train_only"]

PartialMethod: TypeAlias = Literal["full", "last-k", "bitfit", "norms"]


def train_only(
    model: Classifier,
    method: PartialMethod,
    *,
    layers: int = 2,
    embeddings: bool = False,
) -> int:
    """Lets a method's weights be trained, and no others; the head always is.

    Args:
        method: "full" trains all that the scores depend on; "last-k" the last `layers` layers
            and the norm after them (Lee et al. 2019, arXiv:1911.03090); "bitfit" the biases (Zaken
            et al. 2022, arXiv:2106.10199); "norms" the scales and biases of all norms (Zhao et al.
            2023, arXiv:2312.11420).
        layers: how many, for "last-k".
        embeddings: whether "full" trains the token embeddings; the other methods never do.

    Returns:
        How many numbers are trained.

    Raises:
        ConfigError: the base has no biases, no norms, or fewer layers than asked for.
        BaseModelError: see `layers_of`.
    """
    if method == "full":
        model.requires_grad_(True)
        model.freeze_unused(embeddings=not embeddings)
    else:
        chosen = list(_chosen(model, method, layers))
        model.requires_grad_(False)
        model.head.requires_grad_(True)
        for parameter in chosen:
            parameter.requires_grad_(True)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _chosen(
    model: Classifier, method: Literal["last-k", "bitfit", "norms"], num_layers: int
) -> Iterator[nn.Parameter]:
    if method == "last-k":
        return _last_layers(model, num_layers)
    found = list(_biases(model) if method == "bitfit" else _norms(model))
    if not found:
        raise ConfigError(
            f"{type(model.encoder).__name__} has no {'biases' if method == 'bitfit' else 'norms'}",
            where="training.method",
            mend="--method norms, or --method lora" if method == "bitfit" else "--method lora",
        )
    return iter(found)


def _last_layers(model: Classifier, num_layers: int) -> Iterator[nn.Parameter]:
    layers = layers_of(model)
    if num_layers > len(layers):
        raise ConfigError(
            f"the base has {len(layers)} layers, so that its last {num_layers} cannot be trained",
            where="training.layers",
            mend=f"--set training.layers={len(layers)} at most",
        )
    for layer in layers[len(layers) - num_layers :]:
        yield from layer.parameters()
    prefix = name_of(layers, model.backbone)
    order = names_in_order(model)
    last = max(i for i, name in enumerate(order) if name.startswith(f"{prefix}."))
    for name in order[last + 1 :]:
        module = model.backbone.get_submodule(name)
        if _is_norm(module):
            yield from module.parameters(recurse=False)


def _biases(model: Classifier) -> Iterator[nn.Parameter]:
    for name, parameter in model.encoder.named_parameters():
        if name.rpartition(".")[2] == "bias" and not name.startswith("pooler."):
            yield parameter


def _norms(model: Classifier) -> Iterator[nn.Parameter]:
    for module in model.encoder.modules():
        if _is_norm(module):
            yield from module.parameters(recurse=False)


def _is_norm(module: nn.Module) -> bool:
    # Families bring classes of their own (T5LayerNorm, MambaRMSNorm), of no common base class.
    return "norm" in type(module).__name__.lower()
