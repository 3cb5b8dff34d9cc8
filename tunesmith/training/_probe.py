"""A linear head on frozen features: a method of its own, and the start of full fine-tuning.

Starting fine-tuning from a fitted head keeps the first steps from spoiling the base's features
(Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features", arXiv:2202.10054).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tunesmith.tasks import Objective

__all__ = ["fit_added_labels", "fit_linear_head"]

_MAX_ITERATIONS = 300


def fit_linear_head(
    features: NDArray[np.float32],
    targets: NDArray[np.float32] | NDArray[np.int64],
    size: int,
    objective: Objective,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    inverse_penalty: float = 10.0,
) -> tuple[Tensor, Tensor]:
    """Logistic regression by L-BFGS, with an L2 penalty on the weights.

    Minimises the sum of the rows' losses + ‖W‖² / (2 · inverse_penalty), which is scikit-learn's
    `LogisticRegression(C=inverse_penalty)`, on features scaled to a mean norm of 1. (For two labels
    of which one is right, scikit-learn fits a single row of weights; that is ours at half its C.)

    Args:
        features: float32 [n, hidden].
        targets: as the task encodes them.
        size: the number of labels.
        start: weight and bias of a head that is to be changed as little as the rows ask for; see
            `_changed_head`. None: a new head.

    Returns:
        Weight [size, hidden] and bias [size], float32, for the features as they are.
    """
    if start is not None:
        return _changed_head(features, targets, start, objective, inverse_penalty)
    return _fitted(
        features, targets, size, objective, inverse_penalty, lambda own: own, biases_too=False
    )


def _changed_head(
    features: NDArray[np.float32],
    targets: NDArray[np.float32] | NDArray[np.int64],
    start: tuple[Tensor, Tensor],
    objective: Objective,
    inverse_penalty: float,
) -> tuple[Tensor, Tensor]:
    """The head `start`, fitted to rows with the penalty on what changes, biases included.

    Labels without rows keep their part of the head and do not compete: each row would speak against
    them, and they would never be told again. The others change against each other, and so hardly
    against them.
    """
    several = objective == "binary-cross-entropy"
    places = np.flatnonzero(targets.any(axis=0)) if several else np.unique(targets)
    known = torch.from_numpy(features) @ start[0][places].T + start[1][places]
    weight, bias = _fitted(
        features,
        targets[:, places] if several else np.searchsorted(places, targets),
        len(places),
        objective,
        inverse_penalty,
        lambda change: known + change,
    )
    whole, shift = (own.clone() for own in start)
    whole[places] += weight
    shift[places] += bias
    return whole, shift


def fit_added_labels(
    features: NDArray[np.float32],
    targets: NDArray[np.float32] | NDArray[np.int64],
    weight: Tensor,
    bias: Tensor,
    size: int,
    objective: Objective,
    *,
    inverse_penalty: float = 10.0,
) -> tuple[Tensor, Tensor]:
    """`fit_linear_head` for labels that a head does not have yet; the rows that it has stay.

    The biases have the penalty too: where all rows have added labels, they would grow without end.

    Args:
        features: float32 [n, hidden].
        targets: as a task with `size` labels encodes them, those of the head first.
        weight: the head's, [known, hidden].
        bias: the head's, [known].
        size: the number of labels.

    Returns:
        Weight [size, hidden] and bias [size], float32.
    """
    known = torch.from_numpy(features) @ weight.T + bias
    added, shift = _fitted(
        features,
        targets,
        size - len(bias),
        objective,
        inverse_penalty,
        lambda own: torch.cat([known, own], dim=1),
    )
    return torch.cat([weight, added]), torch.cat([bias, shift])


def _fitted(
    features: NDArray[np.float32],
    targets: NDArray[np.float32] | NDArray[np.int64],
    size: int,
    objective: Objective,
    inverse_penalty: float,
    scores_of: Callable[[Tensor], Tensor],
    *,
    biases_too: bool = True,
) -> tuple[Tensor, Tensor]:
    """Weight [size, hidden] and bias [size], from zeros, of what the rows' scores are made with.

    Args:
        scores_of: what `features` @ weight.T + bias, [n, size], makes of the scores of the rows.
        biases_too: whether the penalty is on the biases as well.
    """
    scale = max(float(np.linalg.norm(features, axis=1).mean()), 1e-12)
    inputs = torch.from_numpy(features / scale)
    wanted = torch.from_numpy(targets)
    weight = torch.zeros(size, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(size, requires_grad=True)
    penalty = 1.0 / (2.0 * inverse_penalty * len(inputs))

    def loss() -> Tensor:
        scores = scores_of(inputs @ weight.T + bias)
        penalised = weight.square().sum()
        if biases_too:
            penalised = penalised + bias.square().sum()
        return _mean_loss(objective, scores, wanted) + penalty * penalised

    _minimise(loss, [weight, bias])
    return weight.detach() / scale, bias.detach()


def _mean_loss(objective: Objective, scores: Tensor, targets: Tensor) -> Tensor:
    # Not `criteria.mean_loss`: criteria fit heads with this module.
    several = objective == "binary-cross-entropy"
    loss_of = functional.binary_cross_entropy_with_logits if several else functional.cross_entropy
    return loss_of(scores, targets, reduction="sum") / len(scores)


def _minimise(loss_of: Callable[[], Tensor], parameters: Sequence[Tensor]) -> None:
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
