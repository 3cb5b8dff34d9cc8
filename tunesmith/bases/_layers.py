"""Where a base keeps its layers, and in which order it calls its modules, whatever its family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from tunesmith.errors import BaseModelError

if TYPE_CHECKING:
    from tunesmith.bases._classifier import Classifier

__all__ = ["layers_of", "lists_of_layers", "name_of", "names_in_order"]

_TRIAL_LENGTH = 4


def layers_of(model: Classifier) -> nn.ModuleList:
    """The base's list of layers, in the order in which a text passes them.

    Of the lists that stand in no other list it is the one with the most parameters: a layer may
    have lists of its own (T5's blocks, experts), and a base may have a list of embeddings.

    Raises:
        BaseModelError: the base keeps its layers in no list.
    """
    lists = [found for found in _outermost_lists(model.encoder) if len(found)]
    if not lists:
        raise BaseModelError(
            "keeps its layers in no list, so that they cannot be told apart",
            where=type(model.encoder).__name__,
            mend="--method full, or --method probe",
        )
    return max(lists, key=_num_parameters)


def lists_of_layers(model: Classifier) -> list[nn.ModuleList]:
    """`layers_of`, and the lists in parts of the base that no text passes, as T5's decoder.

    None where the base keeps its layers in no list.
    """
    inside = set(model.encoder.modules())
    unused = [found for found in _outermost_lists(model.backbone) if found not in inside]
    used = [found for found in _outermost_lists(model.encoder) if len(found)]
    return [*([layers_of(model)] if used else []), *unused]


def name_of(module: nn.Module, root: nn.Module) -> str:
    """What `module` is called in `root`."""
    names: dict[nn.Module, str] = {found: name for name, found in root.named_modules()}
    return names[module]


def names_in_order(model: Classifier) -> list[str]:
    """Names in `model.backbone` of the modules that a text passes, in the order of their calls.

    A family may hold modules whose weights it reads without calling them, and others that it does
    not use at all; so a short text is sent through and the calls are noted.
    """
    names = {module: name for name, module in model.backbone.named_modules()}
    order: dict[str, None] = {}

    def note(module: nn.Module, _: object) -> None:
        order.setdefault(names[module])

    hooks = [module.register_forward_pre_hook(note) for module in names]
    device = next(model.parameters()).device
    was_training = model.training
    try:
        model.eval()
        with torch.inference_mode():
            model({"input_ids": torch.zeros(1, _TRIAL_LENGTH, dtype=torch.long, device=device)})
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return list(order)


def _outermost_lists(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _outermost_lists(child)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
