"""The last layers of an encoder by themselves, given the states that enter them."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

__all__ = ["entering_name", "split_entering", "starting_at"]

_ENTERING = "entering_layer_"


def entering_name(start: int) -> str:
    """What a batch calls the states that enter layer `start`."""
    return f"{_ENTERING}{start}"


def split_entering(batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], int, Tensor | None]:
    """A batch without the states that enter a layer, that layer's place, and the states."""
    for name, states in batch.items():
        if name.startswith(_ENTERING):
            rest = {key: value for key, value in batch.items() if key != name}
            return rest, int(name.removeprefix(_ENTERING)), states
    return batch, 0, None


def starting_at(encoder: nn.Module, layers: nn.ModuleList, start: int, states: Tensor) -> nn.Module:
    """An encoder that skips the layers before `start`, and gives that one `states` to read.

    All else of the family's own forward still runs (embeddings, masks, rotary angles, the norm at
    the end). The modules are the encoder's own: only those on the way to the list of layers, and
    the first layer, are shallow copies, so that gradients go to the same weights.

    Args:
        layers: the encoder's list of layers.
        states: [n, length, hidden], in any floating type.
    """
    path = next(name for name, module in encoder.named_modules() if module is layers).split(".")
    first = _shallow(layers[start])
    first._forward_pre_hooks = copy.copy(first._forward_pre_hooks)
    first._forward_pre_hooks_with_kwargs = copy.copy(first._forward_pre_hooks_with_kwargs)
    first.register_forward_pre_hook(_Give(states), with_kwargs=True)
    root = _shallow(encoder)
    parent = root
    for name in path[:-1]:
        child = _shallow(parent.get_submodule(name))
        parent._modules[name] = child
        parent = child
    parent._modules[path[-1]] = nn.ModuleList([first, *layers[start + 1 :]])
    return root


class _Give:
    """A hook that puts states in the place of those that a layer would read."""

    def __init__(self, states: Tensor) -> None:
        self._states = states

    def __call__(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        read = args[0] if args else kwargs["hidden_states"]
        states = self._states.to(dtype=read.dtype, device=read.device)
        return ((states, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": states})


def _shallow(module: nn.Module) -> nn.Module:
    """The same module with a list of children of its own."""
    # Not `copy.copy`, which calls the constructor of a sharded module's class.
    other = object.__new__(type(module))
    other.__dict__.update(module.__dict__)
    other._modules = copy.copy(module._modules)
    return other
