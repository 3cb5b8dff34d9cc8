"""Which of a base's layers an adapter goes to, found without knowing the family."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from tunesmith.bases._adapter_kinds import Shape
from tunesmith.bases._classifier import Classifier
from tunesmith.bases._layers import layers_of, name_of, names_in_order
from tunesmith.errors import ConfigError

__all__ = ["Targets", "find_targets", "put_back_conv1d", "without_conv1d"]


@dataclass(frozen=True, slots=True)
class Targets:
    """The linear layers that get an adapter.

    Attributes:
        pattern: a regular expression that matches their full names.
        feedforward: one for those that bring a wider inner state back to the base's width.
        shapes: inputs and outputs of each.
    """

    pattern: str
    feedforward: str
    shapes: tuple[Shape, ...]


def find_targets(model: Classifier, wanted: Sequence[str] = ()) -> Targets:
    """The linear layers inside the base's layers, or those of them that are `wanted` by name.

    Embeddings, pooler and decoder are in none of the base's layers. Left out as well are matrices
    that the base reads without calling their layer (Mamba's `dt_proj`), since an adapter on them
    would train nothing, and change the scores once merged.

    Raises:
        ConfigError: no layer is called as wanted, or there are none.
    """
    prefix = name_of(layers_of(model), model.backbone)
    found: dict[str, list[nn.Linear]] = {}
    called = {_shared(name) for name in names_in_order(model)}
    for name, module in model.backbone.named_modules():
        inside = name.startswith(f"{prefix}.") and isinstance(module, nn.Linear)
        if inside and _shared(name) in called and not _is_read_directly(model.backbone, name):
            found.setdefault(_shared(name.removeprefix(f"{prefix}.")), []).append(module)
    chosen = {
        name: linears
        for name, linears in found.items()
        if not wanted or any(f".{name}".endswith(f".{one}") for one in wanted)
    }
    _check_wanted(wanted, found)
    narrowing = [
        name
        for name, linears in chosen.items()
        if linears[0].in_features > linears[0].out_features and "att" not in name.lower()
    ]
    return Targets(
        _pattern(prefix, list(chosen)),
        _pattern(prefix, narrowing),
        tuple((m.in_features, m.out_features) for own in chosen.values() for m in own),
    )


def without_conv1d(root: nn.Module) -> list[str]:
    """Puts plain linear layers in the place of GPT-2's transposed ones; returns their names.

    Half of PEFT's adapters know plain ones only. The two compute the same.
    """
    from transformers.pytorch_utils import Conv1D

    names = [name for name, module in root.named_modules() if isinstance(module, Conv1D)]
    for name in names:
        old: Any = root.get_submodule(name)
        new = nn.Linear(old.nx, old.nf, device="meta")
        new.weight = nn.Parameter(old.weight.detach().T.contiguous(), old.weight.requires_grad)
        new.bias = old.bias
        root.set_submodule(name, new.train(old.training))
    return names


def put_back_conv1d(root: nn.Module, names: Sequence[str]) -> None:
    """Undoes `without_conv1d`."""
    from transformers.pytorch_utils import Conv1D

    for name in names:
        old = root.get_submodule(name)
        assert isinstance(old, nn.Linear)
        new: Any = Conv1D(old.out_features, old.in_features)  # type: ignore[no-untyped-call]
        new.weight = nn.Parameter(old.weight.detach().T.contiguous(), old.weight.requires_grad)
        new.bias = old.bias
        root.set_submodule(name, new.train(old.training))


def _shared(name: str) -> str:
    """A name without the numbers in it: what the same layer is called at any depth."""
    return ".".join(part for part in name.split(".") if not part.isdigit())


def _is_read_directly(root: nn.Module, name: str) -> bool:
    # The fused kernels of state-space mixers call their first projection only, and take the weights
    # of the others as they are; on a processor the others are called as well, so a trial would not
    # tell.
    parent, _, own = name.rpartition(".")
    return hasattr(root.get_submodule(parent), "A_log") and not own.startswith("in_proj")


def _pattern(prefix: str, names: Sequence[str]) -> str:
    """A regular expression for the layers below `prefix` that are called one of `names`."""
    if not names:
        return r"(?!)"  # matches nothing
    numbers = r"(?:\d+\.)*"
    parts = "|".join(
        rf"\.{numbers}".join(re.escape(part) for part in name.split(".")) for name in names
    )
    return rf"{re.escape(prefix)}\.{numbers}(?:{parts})"


def _check_wanted(wanted: Sequence[str], found: dict[str, list[nn.Linear]]) -> None:
    names = sorted({name.rpartition(".")[2] for name in found} | set(found))
    missed = [one for one in wanted if not any(f".{name}".endswith(f".{one}") for name in found)]
    if missed:
        near = difflib.get_close_matches(missed[0], names, n=1)
        there = ", ".join(found) or "none"
        raise ConfigError(
            f"no linear layer of the base is called {missed[0]!r}",
            where="adapter.targets",
            mend=f"did you mean {near[0]!r}?" if near else f"there are: {there}",
        )
    if not found:
        raise ConfigError(
            "the base has no linear layers that an adapter could go to",
            where="training.method",
            mend="--method full, or --method norms",
        )
