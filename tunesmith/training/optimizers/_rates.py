"""The rate that suits an optimiser, from the rate that suits AdamW."""

from __future__ import annotations

from tunesmith.config import Optimizer

__all__ = ["own_schedule", "suited_rate"]

_FACTORS: dict[Optimizer, float] = {
    "adamw": 1.0,
    "adam": 1.0,
    "amsgrad": 1.0,
    # No division by the gradient's size, which is small in each of millions of weights.
    "sgd": 300.0,
    # Steps of one size for each weight, as AdamW's, that a momentum of 0.9 sums ten times over.
    "rmsprop": 0.1,
    # A share of the weights' own size, which is some hundredths in a pretrained matrix.
    "adafactor": 20.0,
    # Its updates are scaled to the size of AdamW's (arXiv:2502.16982).
    "muon": 1.0,
    # 3 to 10 times less than AdamW's, as every weight moves in full (arXiv:2302.06675, section 5).
    "lion": 1 / 3,
    # 1 to 10 times more than where the rate falls (the package's README).
    "schedule-free": 2.0,
}


def suited_rate(name: Optimizer, rate_of_adamw: float) -> float:
    """The peak rate to begin with, where `rate_of_adamw` suits AdamW.

    Where a paper gives the factor between the two it is that. The others are for bases of millions
    of parameters, and were tried on one (`docs/log.md`); on much smaller ones sgd wants less.
    """
    return rate_of_adamw * _FACTORS[name]


def own_schedule(name: Optimizer) -> bool:
    """Whether the optimiser needs a rate that stays after its warm-up, and averages by itself."""
    return name == "schedule-free"
