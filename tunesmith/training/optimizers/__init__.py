"""What updates the weights, at which rate, and what of it a resumed run needs."""

from tunesmith.training.optimizers._build import build_optimizer
from tunesmith.training.optimizers._rates import own_schedule, suited_rate
from tunesmith.training.optimizers._schedule import rate_at
from tunesmith.training.optimizers._state import (
    optimizer_facts,
    optimizer_tensors,
    restore_optimizer,
)

__all__ = [
    "build_optimizer",
    "optimizer_facts",
    "optimizer_tensors",
    "own_schedule",
    "rate_at",
    "restore_optimizer",
    "suited_rate",
]
