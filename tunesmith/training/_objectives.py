"""The losses that training minimises."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor
from torch.nn import functional

from tunesmith.tasks import Objective

__all__ = ["Loss", "loss_for"]

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(scores float32 [n, labels], targets) → the mean loss of a row, a scalar."""


def cross_entropy(scores: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the right label; targets int64 [n].

    With `smoothing` that share of each target is spread over all labels, so that a row that is
    learned, or labelled wrongly, does not pull without end (Szegedy et al. 2016,
    arXiv:1512.00567).
    """
    return functional.cross_entropy(scores, targets, label_smoothing=smoothing)


def binary_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each label's yes or no, summed over labels, averaged over rows.

    The sum keeps a row's weight, and so the rate that suits it, independent of how many labels
    there are. Targets float32 [n, labels].
    """
    losses = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    return losses.sum(dim=1).mean()


def loss_for(objective: Objective, *, smoothing: float = 0.0) -> Loss:
    """The loss of a task's objective; smoothing is for single-label targets alone."""
    losses: dict[Objective, Loss] = {
        "cross-entropy": partial(cross_entropy, smoothing=smoothing),
        "binary-cross-entropy": binary_cross_entropy,
    }
    return losses[objective]
