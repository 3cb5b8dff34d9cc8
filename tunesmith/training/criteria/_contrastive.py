"""For a few rows a label: features that bring rows of a label together, and a head after that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tunesmith.bases import Classifier, TokenBatch, extract_features
from tunesmith.tasks import Objective
from tunesmith.training._probe import fit_linear_head
from tunesmith.training._settings import Rows
from tunesmith.training.criteria._balanced import balanced_batches

__all__ = ["Contrastive", "contrastive_losses", "label_overlap"]


@dataclass(frozen=True, slots=True, eq=False)
class Contrastive:
    """Trains the base so that rows of a label are alike; see `Criterion` for the contract.

    What a base knows is moved further by comparing rows than by a head, which fits a few rows at
    once (Tunstall et al. 2022, "SetFit", arXiv:2209.11055). Instead of listing pairs, whose number
    grows with the square of the rows', every row of a batch is compared with all others in it
    (Khosla et al. 2020, "Supervised Contrastive Learning", arXiv:2004.11362), and the batches are
    made so that labels come equally often. The head has no part in this; it is a logistic
    regression on the features, fitted anew whenever the model is judged.

    Attributes:
        rows: the training rows, on which the head is fitted.
        temperature: divides the cosines of features; with a low one near rows decide.
        rows_a_label: of each label in a batch, at least.
        start: weight and bias of a head that the fitted one stays near to; see `fit_linear_head`.
    """

    rows: Rows
    objective: Objective
    num_labels: int
    temperature: float = 0.1
    rows_a_label: int = 4
    start: tuple[Tensor, Tensor] | None = None

    @property
    def divisible(self) -> bool:
        return False

    def batches(
        self,
        lengths: NDArray[np.int64],  # noqa: ARG002 - batches are chosen by label alone
        batch_size: int,
        *,
        seed: int,
        epoch: int,
    ) -> list[NDArray[np.int64]]:
        return balanced_batches(
            self.rows.targets, batch_size, self.rows_a_label, seed=seed, epoch=epoch
        )

    def losses(self, model: Classifier, batch: TokenBatch, targets: Tensor) -> Tensor:
        return contrastive_losses(model.features(batch), label_overlap(targets), self.temperature)

    def before_judging(self, model: Classifier) -> None:
        """Fits the head on the features that the training rows have now."""
        features = extract_features(model, self.rows.tokens)
        weight, bias = fit_linear_head(
            features, self.rows.targets, self.num_labels, self.objective, start=self.start
        )
        with torch.no_grad():
            model.head.weight.copy_(weight)
            model.head.bias.copy_(bias)


def label_overlap(targets: Tensor) -> Tensor:
    """How much of their labels each two of n rows share, float32 [n, n].

    With one label a row 1 or 0; with several the Jaccard index, and 0 for rows without a label.

    Args:
        targets: int64 [n], or float32 [n, labels].
    """
    if targets.ndim == 1:
        return (targets[:, None] == targets[None, :]).float()
    shared = targets @ targets.T
    counts = targets.sum(dim=1)
    either = counts[:, None] + counts[None, :] - shared
    return shared / either.clamp(min=1.0)


def contrastive_losses(features: Tensor, overlap: Tensor, temperature: float) -> Tensor:
    """How hard it is to tell the rows that are like a row from the others, float32 [n].

    Of each row the mean of -log p over the rows like it, weighted by how much they are, where p is
    the softmax over all others of the features' cosine / temperature (equation 2 of
    arXiv:2004.11362). 0 for a row that none is like.

    Args:
        features: float32 [n, hidden], of any length.
        overlap: float32 [n, n]; see `label_overlap`. The diagonal does not count.
    """
    directions = functional.normalize(features, dim=1)
    cosines = directions @ directions.T / temperature
    own = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    # Not minus infinity: a row alone would have nothing to sum over.
    others = cosines.masked_fill(own, torch.finfo(cosines.dtype).min)
    weights = overlap.masked_fill(own, 0.0)
    surprise = others.logsumexp(dim=1, keepdim=True) - cosines
    return (weights * surprise).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-6)
