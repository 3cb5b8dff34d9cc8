"""A model's answers by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.tasks import Task
from tunesmith.types import Target

__all__ = ["answers_of"]


def answers_of(task: Task, probabilities: NDArray[np.float64]) -> list[Target]:
    """The label, or the labels, that are given to each of n rows."""
    decided = decide(task, probabilities)
    if is_multi_label(task):
        return [tuple(task.labels[place] for place in np.flatnonzero(row)) for row in decided]
    return [task.labels[place] for place in decided.tolist()]
