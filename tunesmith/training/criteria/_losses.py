"""The losses of n rows, one for each, so that the loop may weigh and sum them as it needs.

Each works on one label a row and on several. With several the losses of a row's labels are summed:
so a row's weight, and the rate that suits it, do not depend on how many labels there are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.tasks import Objective

__all__ = [
    "divergences",
    "focal_losses",
    "mean_loss",
    "robust_losses",
    "row_losses",
    "teacher_losses",
]


def row_losses(
    objective: Objective,
    scores: Tensor,
    targets: Tensor,
    *,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Negative log-likelihood of each row, float32 [n].

    With one label a row, `smoothing` spreads that share of each target over all labels, so that a
    row that is learned, or labelled wrongly, does not pull without end (Szegedy et al. 2016,
    arXiv:1512.00567).

    Args:
        scores: float32 [n, labels].
        targets: int64 [n], or float32 [n, labels] for binary cross-entropy; for cross-entropy each
            label's share of a row is possible too, float32 [n, labels].
        weights: float32 [labels]; what a row weighs by its label, or with several labels a row,
            each label that the row has. None: all weigh 1.
    """
    if objective == "binary-cross-entropy":
        losses = functional.binary_cross_entropy_with_logits(
            scores, targets, pos_weight=weights, reduction="none"
        )
        return losses.sum(dim=1)
    losses = functional.cross_entropy(scores, targets, label_smoothing=smoothing, reduction="none")
    if weights is None:
        return losses
    soft = targets.is_floating_point()
    return losses * (targets @ weights if soft else weights[targets])


def focal_losses(
    objective: Objective,
    scores: Tensor,
    targets: Tensor,
    *,
    gamma: float,
    weights: Tensor | None = None,
) -> Tensor:
    """-(1 - p)^gamma · log p of each row's right answer, float32 [n].

    So rows that are right already count for less, and hard ones for more (Lin et al. 2017,
    arXiv:1708.02002). A `gamma` of 0 is the likelihood. See `row_losses` for the arguments.
    """
    log_right, log_wrong = _log_probabilities(objective, scores, targets)
    # By way of the logarithm, as (1 - p)^gamma itself has no finite gradient where p is 1.
    return _sum_labels(objective, -torch.exp(gamma * log_wrong) * log_right, targets, weights)


def robust_losses(
    objective: Objective,
    scores: Tensor,
    targets: Tensor,
    *,
    q: float,
    weights: Tensor | None = None,
) -> Tensor:
    """(1 - p^q) / q of each row's right answer, float32 [n]: generalised cross-entropy.

    It is at most 1 / q, and where the model is sure of another answer, as it is where a label is
    wrong, the row hardly pulls (Zhang & Sabuncu 2018, arXiv:1805.07836). With `q` near 0 it is the
    likelihood, with 1 the absolute error. See `row_losses` for the arguments.
    """
    log_right, _ = _log_probabilities(objective, scores, targets)
    return _sum_labels(objective, -torch.expm1(q * log_right) / q, targets, weights)


def divergences(objective: Objective, scores: Tensor, others: Tensor) -> Tensor:
    """How far two answers to each row are apart, float32 [n]: the mean of KL(p‖q) and KL(q‖p).

    With several labels a row p and q are answers to one label, and their divergences are summed.

    Args:
        scores, others: float32 [n, labels].
    """
    if objective == "binary-cross-entropy":
        apart = (torch.sigmoid(scores) - torch.sigmoid(others)) * (scores - others)
    else:
        one, other = (torch.log_softmax(own, dim=1) for own in (scores, others))
        apart = (one.exp() - other.exp()) * (one - other)
    return 0.5 * apart.sum(dim=1)


def teacher_losses(
    objective: Objective, scores: Tensor, teacher: Tensor, *, temperature: float
) -> Tensor:
    """T² · KL(teacher ‖ scores) of each row's answers at temperature T, float32 [n].

    The answers to the labels that are not right show how alike labels are; T² keeps the gradient's
    size whatever T is (Hinton et al. 2015, arXiv:1503.02531). With several labels a row each label
    is a question of its own, and their divergences are summed.

    Args:
        scores, teacher: float32 [n, labels].
        temperature: divides both; 1 gives the probabilities as they are.
    """
    if objective == "binary-cross-entropy":
        own, wanted = scores / temperature, torch.sigmoid(teacher / temperature)
        cross = functional.binary_cross_entropy_with_logits(own, wanted, reduction="none")
        entropy = functional.binary_cross_entropy_with_logits(
            teacher / temperature, wanted, reduction="none"
        )
        return temperature**2 * (cross - entropy).sum(dim=1)
    own, theirs = (torch.log_softmax(one / temperature, dim=1) for one in (scores, teacher))
    return temperature**2 * (theirs.exp() * (theirs - own)).sum(dim=1)


def mean_loss(objective: Objective, scores: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood, a scalar."""
    return torch.mean(row_losses(objective, scores, targets))


def _log_probabilities(
    objective: Objective, scores: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Logarithms of the probability of the right answer, and of all wrong ones together.

    [n] each; [n, labels] with several labels a row, where each label is a question of its own.
    """
    if objective == "binary-cross-entropy":
        signed = torch.where(targets > 0.5, scores, -scores)
        return functional.logsigmoid(signed), functional.logsigmoid(-signed)
    logarithms = torch.log_softmax(scores, dim=1)
    place = targets.unsqueeze(1)
    wrong = logarithms.scatter(1, place, float("-inf")).logsumexp(dim=1)
    return logarithms.gather(1, place).squeeze(1), wrong


def _sum_labels(
    objective: Objective, losses: Tensor, targets: Tensor, weights: Tensor | None
) -> Tensor:
    """One loss a row of `losses`, [n] or [n, labels], with the labels' weights in it."""
    if objective == "binary-cross-entropy":
        if weights is not None:
            losses = torch.where(targets > 0.5, losses * weights, losses)
        return losses.sum(dim=1)
    return losses if weights is None else losses * weights[targets]
