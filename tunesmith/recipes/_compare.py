"""Whether one model is clearly ahead of another on the validation rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.config import RunConfig
from tunesmith.evaluation import paired_differences
from tunesmith.recipes._fine_tune import decide
from tunesmith.recipes._prepare import PreparedData
from tunesmith.types import Outputs

__all__ = ["is_clearly_better"]

_ONE_STANDARD_ERROR = 0.6827  # the level of an interval that reaches one standard error each way


def is_clearly_better(
    scores: NDArray[np.float32],
    others: NDArray[np.float32],
    data: PreparedData,
    config: RunConfig,
    *,
    by_loss: bool = True,
) -> bool:
    """Whether the first is ahead by more than a standard error of the difference, row by row.

    In the task's leading metric, or, where it is not behind in that, in log loss: of few rows that
    tells more, since it asks how sure a model was, and not only on which side of a half.

    Args:
        scores, others: float32 [n, labels], of the validation rows.
        by_loss: whether log loss alone may tell; not on rows that were learned from, of which all
            models are sure.
    """
    validation = data.split.validation
    tasks = [decide(data.task, validation, one) for one in (scores, others)]
    probabilities = [
        np.asarray(data.task.probabilities(Outputs(scores=one)), dtype=np.float64)
        for one in (scores, others)
    ]
    lead, loss = data.task.default_metrics[0], "log_loss"
    differences = paired_differences(
        tasks[0],
        data.task.encode(validation.targets or []),
        probabilities[0],
        probabilities[1],
        task_b=tasks[1],
        metrics=(lead, loss),
        confidence=_ONE_STANDARD_ERROR,
        resamples=config.evaluation.resamples,
        seed=config.seed,
    )
    if differences[lead].low > 0 or not by_loss:
        return bool(differences[lead].low > 0)
    return differences[lead].value >= 0 and differences[loss].high < 0
