"""A linear head on frozen features: a method of its own, and the start of full fine-tuning.

Starting fine-tuning from a fitted head keeps the first steps from spoiling the base's features
(Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features", arXiv:2202.10054).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.tasks import Objective
from tunesmith.training._objectives import loss_for

__all__ = ["fit_linear_head"]

_MAX_ITERATIONS = 300


def fit_linear_head(
    features: NDArray[np.float32],
    targets: NDArray[np.float32] | NDArray[np.int64],
    size: int,
    objective: Objective,
    *,
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

    Returns:
        Weight [size, hidden] and bias [size], float32, for the features as they are.
    """
    scale = max(float(np.linalg.norm(features, axis=1).mean()), 1e-12)
    inputs = torch.from_numpy(features / scale)
    wanted = torch.from_numpy(targets)
    weight = torch.zeros(size, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(size, requires_grad=True)
    loss_of = loss_for(objective)
    penalty = 1.0 / (2.0 * inverse_penalty * len(inputs))
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_of(inputs @ weight.T + bias, wanted) + penalty * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach() / scale, bias.detach()
