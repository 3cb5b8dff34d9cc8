"""Linear layers whose weights are held in four bits, on NVIDIA GPUs (QLoRA, arXiv:2305.14314)."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.errors import ConfigError, MissingDependencyError

__all__ = ["check_four_bit", "compute_as_given", "is_four_bit", "to_four_bit", "weight_of"]


def check_four_bit(device: torch.device) -> None:
    """Checks that this machine can compute with weights of four bits.

    Raises:
        ConfigError: the model is not on an NVIDIA GPU.
        MissingDependencyError: bitsandbytes is not installed.
    """
    if device.type != "cuda":
        raise ConfigError(
            f"4-bit needs an NVIDIA GPU (bitsandbytes), and the model is on {device.type}",
            where="training.method",
            mend="--method lora, which trains the same adapter on a base of full precision",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError(
            "4-bit needs bitsandbytes, which is not installed",
            where="training.method",
            mend="pip install bitsandbytes, or --method lora",
        )


def to_four_bit(root: nn.Module, pattern: str) -> None:
    """Quantises the linear layers whose full names match `pattern`, in place.

    The type is 4-bit NormalFloat, with scales that are quantised again.
    """
    import bitsandbytes  # type: ignore[import-not-found,unused-ignore]

    device = next(root.parameters()).device
    # What a family asks to be kept in full precision: T5 reads the type of some weights.
    kept = tuple(getattr(root, "_keep_in_fp32_modules", None) or ())
    names = [name for name, _ in root.named_modules() if re.fullmatch(pattern, name)]
    for name in names:
        if name.endswith(kept):
            continue
        old = root.get_submodule(name)
        assert isinstance(old, nn.Linear)
        new = bitsandbytes.nn.Linear4bit(
            old.in_features,
            old.out_features,
            bias=old.bias is not None,
            quant_type="nf4",
        )
        new.weight = bitsandbytes.nn.Params4bit(
            old.weight.detach().cpu(), requires_grad=False, quant_type="nf4"
        )
        new.bias = old.bias
        root.set_submodule(name, new.to(device).train(old.training))
    # PEFT asks this of the model before it looks at a layer's class.
    root.is_loaded_in_4bit = True  # type: ignore[assignment]


def compute_as_given(root: nn.Module) -> None:
    """Lets layers of four bits compute in the precision of what they are given next."""
    for layer in root.modules():
        if is_four_bit(layer):
            vars(layer).update(compute_dtype=None, compute_type_is_set=False)


def is_four_bit(layer: nn.Module) -> bool:
    """Whether a layer's weights are held in four bits."""
    return hasattr(getattr(layer, "weight", None), "quant_state")


def weight_of(layer: Any) -> Tensor:
    """A linear layer's weights in float32, whether they are held in four bits or not."""
    if not is_four_bit(layer):
        weight: Tensor = layer.weight.detach()
        return weight
    import bitsandbytes  # type: ignore[import-not-found,unused-ignore]

    held = layer.weight
    whole: Tensor = bitsandbytes.functional.dequantize_4bit(held.data, held.quant_state)
    return whole.float()
