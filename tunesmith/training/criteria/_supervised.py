"""Scores against labels: the usual way to train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.bases import Classifier, TokenBatch
from tunesmith.config import Loss
from tunesmith.tasks import Objective
from tunesmith.training.criteria._batches import epoch_batches
from tunesmith.training.criteria._losses import (
    divergences,
    focal_losses,
    robust_losses,
    row_losses,
)

__all__ = ["Supervised"]


@dataclass(frozen=True, slots=True, eq=False)
class Supervised:
    """Minimises a loss of the scores over rows of like length; see `Criterion` for the contract.

    Attributes:
        loss: what a row's scores cost; see `row_losses`, `focal_losses`, `robust_losses`.
        label_smoothing: of the likelihood with one label a row.
        focal_gamma: of the focal loss.
        robustness: q of the robust loss.
        class_weights: float32 [labels]; None: all labels weigh 1.
        r_drop: weight of the difference between two passes, which dropout makes differ (Liang et
            al. 2021, "R-Drop", arXiv:2106.14448); 0: one pass. Without dropout it is two passes
            for nothing, so the caller should refuse that.
    """

    objective: Objective
    loss: Loss = "likelihood"
    label_smoothing: float = 0.1
    focal_gamma: float = 2.0
    robustness: float = 0.7
    class_weights: NDArray[np.float32] | None = None
    r_drop: float = 0.0

    @property
    def divisible(self) -> bool:
        return True

    def batches(
        self, lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
    ) -> list[NDArray[np.int64]]:
        return epoch_batches(lengths, batch_size, seed=seed, epoch=epoch)

    def losses(self, model: Classifier, batch: TokenBatch, targets: Tensor) -> Tensor:
        scores: Tensor = model(batch)
        losses = self._losses(scores, targets)
        if not self.r_drop:
            return losses
        others: Tensor = model(batch)
        apart = divergences(self.objective, scores, others)
        # The mean of both passes, so that the rate that suits is as with one.
        return 0.5 * (losses + self._losses(others, targets)) + self.r_drop * apart

    def before_judging(self, model: Classifier) -> None: ...

    def _losses(self, scores: Tensor, targets: Tensor) -> Tensor:
        weights = None
        if self.class_weights is not None:
            weights = torch.from_numpy(self.class_weights).to(scores.device)
        if self.loss == "focal":
            return focal_losses(
                self.objective, scores, targets, gamma=self.focal_gamma, weights=weights
            )
        if self.loss == "robust":
            return robust_losses(
                self.objective, scores, targets, q=self.robustness, weights=weights
            )
        return row_losses(
            self.objective, scores, targets, smoothing=self.label_smoothing, weights=weights
        )
