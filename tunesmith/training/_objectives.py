"""The losses that training minimises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor
from torch.nn import functional

from tunesmith.tasks import Objective

__all__ = ["Loss", "loss_for"]

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(scores float32 [n, labels], targets) → the mean loss of a row, a scalar."""


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood of the right label; targets int64 [n]."""
    return functional.cross_entropy(scores, targets)


def binary_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each label's yes or no, summed over labels, averaged over rows.

    The sum keeps a row's weight, and so the rate that suits it, independent of how many labels
    there are. Targets float32 [n, labels].
    """
    losses = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    return losses.sum(dim=1).mean()


def loss_for(objective: Objective) -> Loss:
    """The loss of a task's objective."""
    losses: dict[Objective, Loss] = {
        "cross-entropy": cross_entropy,
        "binary-cross-entropy": binary_cross_entropy,
    }
    return losses[objective]
