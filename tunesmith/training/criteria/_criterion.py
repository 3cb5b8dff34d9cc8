"""What a training step minimises, and over which rows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.bases import Classifier, TokenBatch

__all__ = ["Criterion"]


class Criterion(Protocol):
    """Gives the loop its batches and their losses.

    Attributes:
        divisible: whether a row's loss depends on that row alone, so that a step may be worked on
            in parts.
    """

    @property
    def divisible(self) -> bool: ...

    def batches(
        self, lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
    ) -> list[NDArray[np.int64]]:
        """The rows of each step of an epoch, as many steps in every epoch.

        Depends on the arguments alone, so that a run that goes on is given what it would have been.

        Args:
            lengths: int64 [n], tokens of each training row.
            batch_size: rows a step, at most.
        """

    def losses(self, model: Classifier, batch: TokenBatch, targets: Tensor) -> Tensor:
        """The loss of each of b rows, float32 [b], with the gradient's graph.

        Args:
            batch: the rows' tokens, on the model's device.
            targets: int64 [b], or float32 [b, labels] for several labels a row.
        """

    def before_judging(self, model: Classifier) -> None:
        """Brings `model` into the state in which its scores are to be judged; most do nothing."""
