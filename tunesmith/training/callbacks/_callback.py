"""What the loop tells while it works."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ["Callback", "EpochRecord"]


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch's figures; epoch 0 is the frozen probe.

    Attributes:
        epoch: passes over the training rows so far.
        step: optimiser steps so far.
        train_loss: mean loss of the epoch's training rows; None for epoch 0.
        validation_loss: mean loss of the validation rows.
        metric: the task's leading metric on the validation rows, 0 to 1.
        seconds: time in training, validation included, since the start.
    """

    epoch: int
    step: int
    train_loss: float | None
    validation_loss: float
    metric: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Callback(Protocol):
    """Hears of a fit's progress; it may not change it."""

    def on_start(self, total_steps: int, first_step: int) -> None:
        """Training begins, or goes on from `first_step`."""

    def on_step(self, step: int, loss: float, rate: float) -> None:
        """Step `step` (from 1) is done."""

    def on_less_memory(self, max_tokens: int) -> None:
        """The memory did not suffice: from now on so many tokens at most are worked on at once."""

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch was validated."""

    def on_end(self) -> None:
        """Training is over, or was interrupted."""
