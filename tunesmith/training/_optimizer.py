"""AdamW's parameter groups, the rate's schedule, and the moving average of the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage", "adamw", "rate_at"]


def adamw(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) over what is trained.

    Matrices decay; biases and the scales of norms do not. One fused kernel updates all of them.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, fused=True)


def rate_at(step: int, total_steps: int, peak: float, warmup_fraction: float) -> float:
    """The rate of step `step` of `total_steps`: up in a line, then down in a line to zero."""
    warmup = round(total_steps * warmup_fraction)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (total_steps - step) / max(total_steps - warmup, 1)


class WeightAverage:
    """Exponential moving average of trained weights (Polyak & Juditsky 1992; arXiv:1803.05407).

    Early on the decay is (1 + steps) / (10 + steps), so that the start is soon forgotten.
    """

    def __init__(self, parameters: list[Tensor], decay: float) -> None:
        self._parameters = parameters
        self._decay = decay
        self.values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights after step `step` (from 0) into the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, self._parameters, 1.0 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges weights and averages; a second call exchanges them back."""
        for value, parameter in zip(self.values, self._parameters, strict=True):
            held = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(held)
