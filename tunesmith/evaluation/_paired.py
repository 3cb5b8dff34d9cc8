"""Two models on the same rows: whether one is better, and on which rows they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation._intervals import difference_interval, wilson_rate
from tunesmith.evaluation._measure import AREAS, Measured, measure
from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.tasks import Task
from tunesmith.types import Estimate

__all__ = ["McNemar", "mcnemar", "paired_difference", "paired_differences"]

_UNBOUNDED = frozenset({"brier", "coverage_error", "log_loss"})


def paired_difference(
    task: Task,
    targets: NDArray[Any],
    probabilities_a: NDArray[np.float64],
    probabilities_b: NDArray[np.float64],
    *,
    metric: str,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    task_b: Task | None = None,
) -> Estimate:
    """How much higher a's figure is than b's, judged on the same rows.

    Both models meet the same bootstrap samples, so what makes a sample easy or hard for both
    cancels out: much sharper than comparing two separate intervals (Efron and Tibshirani 1993;
    for language tasks Berg-Kirkpatrick, Burkett and Klein, EMNLP 2012). Where two models never
    differ the bootstrap has no width, and the interval is the one that n rows without a difference
    leave open by Wilson's bound.

    Args:
        metric: one of the names in `evaluate(...).values`.
        groups: see `evaluate`.
        task_b: b's task, where it differs in its thresholds.

    Returns:
        a - b. For losses a negative figure means that a is better.

    Raises:
        KeyError: the rows do not define the metric.
    """
    return paired_differences(
        task, targets, probabilities_a, probabilities_b, metrics=(metric,), groups=groups,
        confidence=confidence, resamples=resamples, seed=seed, task_b=task_b,
    )[metric]  # fmt: skip


def paired_differences(
    task: Task,
    targets: NDArray[Any],
    probabilities_a: NDArray[np.float64],
    probabilities_b: NDArray[np.float64],
    *,
    metrics: tuple[str, ...],
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    task_b: Task | None = None,
) -> dict[str, Estimate]:
    """The same for several metrics at once."""
    a, b = (
        measure(
            own, targets, probabilities, resamples=resamples, seed=seed, groups=groups,
            with_areas=bool(set(metrics) & set(AREAS)),
        )
        for own, probabilities in ((task, probabilities_a), (task_b or task, probabilities_b))
    )  # fmt: skip
    num_rows = len(targets) if groups is None else len(np.unique(groups))
    return {name: _difference(name, a, b, num_rows, confidence) for name in metrics}


def _difference(
    metric: str, a: Measured, b: Measured, num_rows: int, confidence: float
) -> Estimate:
    difference = a.values[metric] - b.values[metric]
    if num_rows < 2:
        return Estimate.alone(difference)
    found = difference_interval(difference, a.samples[metric] - b.samples[metric], confidence)
    if metric in _UNBOUNDED:
        return found or Estimate.alone(difference)
    lowest, highest = (-2.0, 2.0) if metric == "mcc" else (-1.0, 1.0)
    if found is None:
        open_end = wilson_rate(0, num_rows, confidence).high
        found = Estimate(difference, difference - open_end, difference + open_end)
    return Estimate(difference, max(lowest, found.low), min(highest, found.high))


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test of two models on the same rows.

    Attributes:
        only_a: rows that a alone gets right.
        only_b: rows that b alone gets right.
        p_value: mid-p: how likely so uneven a split is where neither model is better.
        exact_p_value: the same of the exact test, which errs on the side of no difference.
    """

    only_a: int
    only_b: int
    p_value: float
    exact_p_value: float

    def as_dict(self) -> dict[str, float]:
        return {
            "only_a": self.only_a,
            "only_b": self.only_b,
            "p_value": self.p_value,
            "exact_p_value": self.exact_p_value,
        }


def mcnemar(
    task: Task,
    targets: NDArray[np.int64],
    probabilities_a: NDArray[np.float64],
    probabilities_b: NDArray[np.float64],
) -> McNemar | None:
    """Whether one of two models is right more often; None for several labels a row.

    Of the rows that one model alone gets right, each would get half if they were equally good:
    that is a binomial, for few rows as for many (McNemar, Psychometrika 12, 1947). The mid-p form
    keeps the level that the exact one undercuts (Fagerland, Lydersen and Laake, BMC Medical
    Research Methodology 13, 2013). Rows are taken as independent.
    """
    from scipy.stats import binom

    if is_multi_label(task):
        return None
    right_a = decide(task, probabilities_a) == targets
    right_b = decide(task, probabilities_b) == targets
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    fewer, both = min(only_a, only_b), only_a + only_b
    tail, at = float(binom.cdf(fewer, both, 0.5)), float(binom.pmf(fewer, both, 0.5))
    exact = min(1.0, 2 * tail)
    mid = 1.0 if only_a == only_b else min(1.0, 2 * tail - at)
    return McNemar(only_a, only_b, mid, exact)
