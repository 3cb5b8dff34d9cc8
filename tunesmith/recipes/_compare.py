"""Whether one model is clearly ahead of another on the validation rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tunesmith.config import RunConfig
from tunesmith.evaluation import paired_differences
from tunesmith.recipes._fine_tune import decide
from tunesmith.recipes._prepare import PreparedData
from tunesmith.types import Estimate, Outputs

__all__ = ["is_clearly_better", "is_surely_better"]

_ONE_STANDARD_ERROR = 0.6827  # the level of an interval that reaches one standard error each way
_SURELY = 0.999


def is_clearly_better(
    scores: NDArray[np.float32],
    others: NDArray[np.float32],
    data: PreparedData,
    config: RunConfig,
) -> bool:
    """Whether the first is ahead by more than a standard error of the difference, row by row.

    In the task's leading metric, or, where it is not behind in that, in log loss: of few rows that
    tells more, since it asks how sure a model was, and not only on which side of a half.

    Args:
        scores, others: float32 [n, labels], of the validation rows.
    """
    lead, loss = data.task.default_metrics[0], "log_loss"
    differences = _differences(scores, others, data, config, (lead, loss), _ONE_STANDARD_ERROR)
    if differences[lead].low > 0:
        return True
    return differences[lead].value >= 0 and differences[loss].high < 0


def is_surely_better(
    scores: NDArray[np.float32],
    others: NDArray[np.float32],
    data: PreparedData,
    config: RunConfig,
) -> bool:
    """Whether chance cannot explain how far the first is ahead in the leading metric.

    For two models that should be alike, of which one may be broken.

    Args:
        scores, others: float32 [n, labels], of the validation rows.
    """
    lead = data.task.default_metrics[0]
    return bool(_differences(scores, others, data, config, (lead,), _SURELY)[lead].low > 0)


def _differences(
    scores: NDArray[np.float32],
    others: NDArray[np.float32],
    data: PreparedData,
    config: RunConfig,
    metrics: tuple[str, ...],
    confidence: float,
) -> Mapping[str, Estimate]:
    """By how much the first's figures are higher, by name."""
    validation = data.split.validation
    tasks = [decide(data.task, validation, one) for one in (scores, others)]
    probabilities = [
        np.asarray(data.task.probabilities(Outputs(scores=one)), dtype=np.float64)
        for one in (scores, others)
    ]
    return paired_differences(
        tasks[0],
        data.task.encode(validation.targets or []),
        probabilities[0],
        probabilities[1],
        task_b=tasks[1],
        metrics=metrics,
        confidence=confidence,
        resamples=config.evaluation.resamples,
        seed=config.seed,
    )
