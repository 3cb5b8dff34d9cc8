"""Several models on the same labelled rows, and how far one is ahead of the best of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation import Candidate, evaluate, paired_difference
from tunesmith.tasks import Task
from tunesmith.types import Estimate

__all__ = ["Judging"]


class Judging:
    """Collects candidates on one set of n rows.

    Args:
        targets: as the task encodes them, int64 [n] or float32 [n, labels].
        groups: int64 [n], rows of one group depend on each other; None where rows stand alone.
        confidence: the intervals' level.
        resamples: bootstrap samples.
        seed: of the bootstrap.
    """

    def __init__(
        self,
        targets: NDArray[Any],
        *,
        groups: NDArray[np.int64] | None,
        confidence: float,
        resamples: int,
        seed: int,
    ) -> None:
        self._targets = targets
        self._groups = groups
        self._confidence = confidence
        self._resamples = resamples
        self._seed = seed
        self._candidates: dict[str, Candidate] = {}
        self._tasks: dict[str, Task] = {}
        self._probabilities: dict[str, NDArray[np.float64]] = {}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All that were added, in their order."""
        return tuple(self._candidates.values())

    def add(
        self, name: str, task: Task, probabilities: NDArray[np.float64], seconds: float
    ) -> None:
        """Judges one.

        Args:
            task: with the decision rule that goes with this model.
            probabilities: float64 [n, labels].
            seconds: what its training took.
        """
        metrics = evaluate(
            task, self._targets, probabilities, groups=self._groups,
            confidence=self._confidence, resamples=self._resamples, seed=self._seed,
        )  # fmt: skip
        self._candidates[name] = Candidate(name, metrics, seconds)
        self._tasks[name] = task
        self._probabilities[name] = probabilities

    def probabilities(self, name: str) -> NDArray[np.float64]:
        """What a candidate was added with, float64 [n, labels]."""
        return self._probabilities[name]

    def advantage(self, chosen: str) -> tuple[Estimate, str]:
        """The leading metric's gain over the best other candidate, row by row, and its name."""
        task = self._tasks[chosen]
        leading = task.default_metrics[0]
        rivals = [name for name in self._candidates if name != chosen]
        best = max(rivals, key=lambda name: self._candidates[name].metrics[leading].value)
        difference = paired_difference(
            task, self._targets, self._probabilities[chosen], self._probabilities[best],
            task_b=self._tasks[best], metric=leading, groups=self._groups,
            confidence=self._confidence, resamples=self._resamples, seed=self._seed,
        )  # fmt: skip
        return difference, best
