"""All of an optimiser that a resumed run needs to go on to the bit: tensors, and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tunesmith.errors import ConfigError

__all__ = ["optimizer_facts", "optimizer_tensors", "restore_optimizer"]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """ "parameter's number.name" → the tensor that the optimiser keeps for it; none is copied."""
    return {
        f"{index}.{name}": value
        for index, own in optimizer.state_dict()["state"].items()
        for name, value in own.items()
        if isinstance(value, Tensor)
    }


def optimizer_facts(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The rest of its state as JSON: what it counts for each group and for each parameter.

    Schedule-free AdamW, for one, keeps in its groups the number of steps, the largest rate, the sum
    of the weights, and whether it is in training mode.
    """
    content = optimizer.state_dict()
    return {
        "optimizer": type(optimizer).__name__,
        "groups": [
            {
                "num_parameters": len(group["params"]),
                "values": {k: v for k, v in group.items() if _is_plain(v)},
            }
            for group in content["param_groups"]
        ],
        "parameters": {
            str(index): {name: value for name, value in own.items() if _is_plain(value)}
            for index, own in content["state"].items()
        },
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Gives an optimiser what `optimizer_tensors` and `optimizer_facts` gave for another.

    Args:
        optimizer: new, built by the same call for a model with the same parameters; it takes the
            tensors over, without a copy where they are on its device.

    Raises:
        ConfigError: the state is of another optimiser, or of other parameters.
    """
    fresh = optimizer_facts(optimizer)
    if _shape(fresh) != _shape(facts):
        raise ConfigError(
            "the checkpoint's optimiser is another, or trained other parameters",
            where="training.optimizer",
            mend="resume with the settings that the run was started with, or start a new run",
        )
    state: dict[int, dict[str, Any]] = {
        int(index): dict(values) for index, values in facts["parameters"].items()
    }
    for name, value in tensors.items():
        index, _, part = name.partition(".")
        state.setdefault(int(index), {})[part] = value
    groups = optimizer.state_dict()["param_groups"]
    for group, kept in zip(groups, facts["groups"], strict=True):
        group.update(kept["values"])
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _shape(facts: Mapping[str, Any]) -> tuple[str, list[int]]:
    return facts["optimizer"], [group["num_parameters"] for group in facts["groups"]]


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
