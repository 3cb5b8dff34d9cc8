"""Which parameters decay, and at which share of the rate each is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from torch import nn

from tunesmith.bases import Classifier, layers_of

__all__ = ["Group", "hidden_matrices", "parameter_groups", "rate_scales"]

Group: TypeAlias = dict[str, Any]


def parameter_groups(
    parameters: Iterable[nn.Parameter],
    *,
    rate: float,
    weight_decay: float,
    scales: Mapping[nn.Parameter, float],
) -> list[Group]:
    """The groups that an optimiser is given: one for each pair of decay and rate.

    Matrices decay; biases, the scales of norms and other vectors do not.

    Args:
        scales: parameter → its share of the rate; 1 where it is not among them.

    Returns:
        Groups with `params`, `weight_decay`, `lr`, and in `rate_scale` the share of the rate that
        the loop multiplies each step's rate with; matrices first.
    """
    members: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for parameter in parameters:
        kind = (_is_matrix(parameter), scales.get(parameter, 1.0))
        members.setdefault(kind, []).append(parameter)
    return [
        {
            "params": members[decays, scale],
            "weight_decay": weight_decay if decays else 0.0,
            "lr": rate * scale,
            "rate_scale": scale,
        }
        for decays, scale in sorted(members, reverse=True)
    ]


def rate_scales(model: Classifier, layer_decay: float) -> dict[nn.Parameter, float]:
    """Each parameter's share of the rate, `layer_decay` of which is left from layer to layer.

    The head, and norms behind the last layer, have the whole rate; layer i of n (from 1) has
    layer_decay^(n + 1 - i), the embeddings layer_decay^(n + 1). What the lower layers know is
    general and need change little (Howard & Ruder 2018, arXiv:1801.06146; Clark et al. 2020,
    arXiv:2003.10555).

    Raises:
        BaseModelError: the base keeps its layers in no list, and `layer_decay` is not 1.
    """
    if layer_decay == 1.0:
        return {}
    depths = _depths(model)
    top = max(depths.values())
    return {parameter: layer_decay ** (top - depth) for parameter, depth in depths.items()}


def hidden_matrices(model: Classifier) -> set[nn.Parameter]:
    """The weights of the linear maps inside the base's layers.

    Raises:
        BaseModelError: the base keeps its layers in no list.
    """
    return {
        parameter
        for module in layers_of(model).modules()
        if not isinstance(module, nn.Embedding)
        for name, parameter in module.named_parameters(recurse=False)
        if name == "weight" and parameter.ndim == 2 and _is_matrix(parameter)
    }


def _is_matrix(parameter: nn.Parameter) -> bool:
    # Some adapters keep scales in the shape [n, 1]: pulled to 0 they would switch a layer off.
    return sum(size > 1 for size in parameter.shape) >= 2


def _depths(model: Classifier) -> dict[nn.Parameter, int]:
    """Embeddings: 0; the n layers: 1 to n; what lies behind them, and the head: n + 1."""
    layers = layers_of(model)
    top = len(layers) + 1
    within = {p: depth for depth, layer in enumerate(layers, 1) for p in layer.parameters()}
    tables = {
        parameter
        for module in model.encoder.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    depths: dict[nn.Parameter, int] = {}
    outside = 0
    for parameter in model.encoder.parameters():
        if parameter in within:
            outside = top  # modules stand in the order in which a text passes them
            depths[parameter] = within[parameter]
        else:
            depths[parameter] = 0 if parameter in tables else outside
    return {**depths, **dict.fromkeys(model.head.parameters(), top)}
