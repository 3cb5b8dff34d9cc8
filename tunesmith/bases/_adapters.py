"""Small trained additions to a frozen base: attached, merged into it, written and read.

PEFT puts its layers into the backbone in place, so that all that works with a base works with an
adapter on it. PEFT's own wrapper is kept beside the model and not in it: names of weights stay.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tunesmith.bases._adapter_kinds import adapter_config, check_kind
from tunesmith.bases._adapter_targets import find_targets, put_back_conv1d, without_conv1d
from tunesmith.bases._classifier import Classifier
from tunesmith.bases._four_bit import check_four_bit, is_four_bit, to_four_bit, weight_of
from tunesmith.errors import ConfigError

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel

__all__ = [
    "NAME",
    "Attached",
    "adapted_layers",
    "adapter_state",
    "attach_adapter",
    "drop_in_adapter",
    "has_adapter",
    "inject",
    "merge_adapter",
    "unload_adapter",
    "without_warnings",
]

NAME = "default"
"""What PEFT calls an adapter that is given no name."""


@dataclass(slots=True)
class Attached:
    """An adapter on a backbone.

    Attributes:
        wrapped: PEFT's wrapper around the backbone.
        conv1d: names of the layers that are plain linear ones only while the adapter is there.
        start: for adapters that take their start out of the base's weights (PiSSA, OLoRA), the
            tensors that they started from, by which base and adapter can be told apart again.
    """

    wrapped: PeftModel
    conv1d: list[str]
    start: dict[str, Tensor] = field(default_factory=dict)

    @property
    def config(self) -> PeftConfig:
        return self.wrapped.peft_config[NAME]

    def base_state(self, backbone: nn.Module) -> dict[str, Tensor]:
        """The backbone's weights as they are without the adapter, called as in the plain base."""
        state: dict[str, Tensor] = backbone.state_dict()
        for name, layer in adapted_layers(backbone):
            for key in [key for key in state if key.startswith(f"{name}.")]:
                del state[key]
            inner = layer.get_base_layer()
            weight = weight_of(inner)
            if self.start:
                # PEFT took the start out of the weights; here it is given back.
                first = [self.start[f"base_model.model.{name}.lora_{x}.weight"] for x in "BA"]
                product = first[0].to(weight.device) @ first[1].to(weight.device)
                weight = weight + layer.scaling[NAME] * product
            state[f"{name}.weight"] = weight.T.contiguous() if name in self.conv1d else weight
            if inner.bias is not None:
                state[f"{name}.bias"] = inner.bias.detach().float()
        return state


def attach_adapter(
    model: Classifier,
    kind: str,
    *,
    rank: int = 16,
    alpha: float | None = None,
    dropout: float = 0.0,
    targets: Sequence[str] = (),
) -> None:
    """Freezes the base and puts an adapter on its linear layers; the head is trained as ever.

    The scores are what they were before. Where the adapter starts at random, torch's seed decides.

    Args:
        kind: one of `ADAPTERS`.
        rank, alpha, dropout: see `adapter_config`.
        targets: names of the layers that get an adapter ("query", "attention.self.query"); none:
            all linear layers inside the base's layers.

    Raises:
        ConfigError: the kind does not go with the base, the machine, or the other values.
        MissingDependencyError: bitsandbytes is needed.
        BaseModelError: see `layers_of`.
    """
    assert not has_adapter(model)
    check_kind(kind, alpha=alpha, dropout=dropout)
    if kind == "qlora":
        check_four_bit(next(model.parameters()).device)
    conv1d = without_conv1d(model.backbone)
    try:
        found = find_targets(model, targets)
        config = adapter_config(
            kind,
            found.pattern,
            found.feedforward,
            found.shapes,
            rank=rank,
            alpha=alpha,
            dropout=dropout,
        )
        if kind == "qlora":
            to_four_bit(model.backbone, found.pattern)
        inject(model, config, conv1d)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{kind} cannot be put on this base ({error})",
            where="training.method",
            mend="--method lora",
        ) from error
    finally:
        if not has_adapter(model):
            put_back_conv1d(model.backbone, conv1d)
    if kind in {"pissa", "olora"}:
        model.adapter.start = adapter_state(model)


def inject(model: Classifier, config: PeftConfig, conv1d: list[str]) -> None:
    """Puts the adapter that `config` describes on the backbone, untrained.

    Raises:
        ValueError, TypeError: PEFT's, where it does not fit; the backbone is as before.
    """
    import peft

    if config.peft_type == peft.PeftType.SHIRA:
        # torch warns until it is told whether to check the places that SHiRA gives it.
        torch.sparse.check_sparse_tensor_invariants.enable()  # type: ignore[no-untyped-call]
    try:
        with without_warnings():
            wrapped = peft.get_peft_model(model.backbone, config)
    except (ValueError, TypeError):
        # Layers before the one that does not fit have theirs already.
        for name, layer in adapted_layers(model.backbone):
            model.backbone.set_submodule(name, layer.get_base_layer())
        raise
    model.adapter = Attached(wrapped, conv1d)
    model.head.requires_grad_(True)
    model.train(model.training)


def drop_in_adapter(model: Classifier) -> None:
    """Puts the adapter alone into training mode, in which it drops a share of its inputs."""
    for _, layer in adapted_layers(model.backbone):
        layer.training = True  # some kinds drop by themselves, others have modules that do
        for name, part in layer.named_children():
            if name != "base_layer":
                part.train()


def has_adapter(model: Classifier) -> bool:
    """Whether an adapter is on the base."""
    return model.adapter is not None


def merge_adapter(model: Classifier) -> None:
    """Adds the adapter to the base's weights: what is left is a plain base with the same scores."""
    attached: Attached = model.adapter
    with torch.no_grad(), without_warnings():
        for name, layer in adapted_layers(model.backbone):
            if is_four_bit(layer.get_base_layer()):
                model.backbone.set_submodule(name, _merged_four_bit(layer))
        attached.wrapped.merge_and_unload()
    _leave_plain(model)


def unload_adapter(model: Classifier) -> None:
    """Takes an adapter off that has changed nothing in the base's own weights."""
    with without_warnings():
        model.adapter.wrapped.unload()
    _leave_plain(model)


def adapter_state(model: Classifier) -> dict[str, Tensor]:
    """Copies of the adapter's tensors, called as PEFT calls them in a file."""
    import peft

    with without_warnings():
        state = peft.get_peft_model_state_dict(model.adapter.wrapped, save_embedding_layers=False)
    return {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}


def adapted_layers(root: nn.Module) -> list[tuple[str, Any]]:
    """The layers that PEFT put in the place of others, by name."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [(name, m) for name, m in root.named_modules() if isinstance(m, BaseTunerLayer)]


def _merged_four_bit(layer: Any) -> nn.Linear:
    """A plain layer of what four bits hold and the adapter adds; rounding again would differ."""
    inner = layer.get_base_layer()
    merged = nn.Linear(inner.in_features, inner.out_features, device="meta")
    weight = weight_of(inner) + layer.get_delta_weight(NAME).float()
    merged.weight = nn.Parameter(weight, requires_grad=False)
    bias = None if inner.bias is None else nn.Parameter(inner.bias.float(), False)
    merged.register_parameter("bias", bias)
    return merged.train(layer.training)


def _leave_plain(model: Classifier) -> None:
    put_back_conv1d(model.backbone, model.adapter.conv1d)
    model.backbone.__dict__.pop("is_loaded_in_4bit", None)
    model.adapter = None


@contextmanager
def without_warnings() -> Iterator[None]:
    """PEFT warns of its own use of old names and of settings that it mends itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
