"""A student against its teacher: soft scores, pooled states, and labels where they are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.bases import Classifier, TokenBatch
from tunesmith.tasks import Objective
from tunesmith.training.criteria._batches import epoch_batches
from tunesmith.training.criteria._losses import row_losses, teacher_losses

__all__ = ["Distilled", "lessons"]

_UNKNOWN = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Distilled:
    """Teaches a smaller model what a larger one answers; see `Criterion` for the contract.

    The targets are what `lessons` makes. A row whose label is not known learns from the teacher
    alone, so that texts of the domain without labels serve as well (Hinton et al. 2015,
    arXiv:1503.02531). The pooled state is drawn to the teacher's direction, as in DistilBERT (Sanh
    et al. 2019, arXiv:1910.01108): the head, which was the teacher's, then reads what it knows.

    Attributes:
        temperature: see `teacher_losses`.
        label_weight: share of the label's own likelihood, the rest is the teacher's answer.
        state_weight: of 1 - cosine of the pooled states.
    """

    objective: Objective
    num_labels: int
    temperature: float = 2.0
    label_weight: float = 0.3
    state_weight: float = 1.0

    @property
    def divisible(self) -> bool:
        return True

    def batches(
        self, lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
    ) -> list[NDArray[np.int64]]:
        return epoch_batches(lengths, batch_size, seed=seed, epoch=epoch)

    def losses(self, model: Classifier, batch: TokenBatch, targets: Tensor) -> Tensor:
        states = model.features(batch)
        scores: Tensor = model.head(states)
        sizes = [self.num_labels, states.shape[1]]
        teacher, teacher_states, labels = targets.tensor_split((sizes[0], sum(sizes)), dim=1)
        soft = teacher_losses(self.objective, scores, teacher, temperature=self.temperature)
        known = labels[:, 0] != _UNKNOWN
        wanted = labels.clamp(min=0)
        if self.objective == "cross-entropy":
            wanted = wanted[:, 0].long()
        hard = row_losses(self.objective, scores, wanted)
        share = self.label_weight * known
        apart = 1 - torch.cosine_similarity(states, teacher_states)
        return (1 - share) * soft + share * hard + self.state_weight * apart

    def before_judging(self, model: Classifier) -> None: ...


def lessons(
    objective: Objective,
    scores: NDArray[np.float32],
    states: NDArray[np.float32],
    targets: NDArray[Any],
) -> NDArray[np.float32]:
    """What each of n rows teaches, float32 [n, labels + hidden + 1, or + labels].

    Args:
        scores: the teacher's, float32 [n, labels].
        states: the teacher's pooled states, float32 [n, hidden].
        targets: of the first m rows, int64 [m] or float32 [m, labels]; of the others none is known.
    """
    wide = targets[:, None] if objective == "cross-entropy" else targets
    labels = np.full((len(scores), wide.shape[1]), _UNKNOWN, dtype=np.float32)
    labels[: len(wide)] = wide
    return np.concatenate([scores, states, labels], axis=1, dtype=np.float32)
