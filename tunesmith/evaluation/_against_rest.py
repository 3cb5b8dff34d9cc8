"""Some rows against all the others: a figure of each, their difference, and what chance explains.

A figure is one sum over rows by another: rows that are right by rows (accuracy), or twice the
labels found by the labels there are and those given (micro-F1).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.evaluation._intervals import bootstrap_interval, wilson_rate
from tunesmith.evaluation._measure import resampled_sums
from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.tasks import Task
from tunesmith.types import Estimate

__all__ = ["AgainstRest", "Ratio", "against_rest", "ratio_of"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """What each of n rows adds to a figure that is one sum by another.

    Attributes:
        metric: what the figure is.
        above, below: float64 [n].
    """

    metric: Literal["accuracy", "micro_f1"]
    above: NDArray[np.float64]
    below: NDArray[np.float64]

    def take(self, rows: NDArray[Any]) -> Ratio:
        """The same for some of the rows."""
        return Ratio(self.metric, self.above[rows], self.below[rows])


@dataclass(frozen=True, slots=True)
class AgainstRest:
    """A part of the rows beside all others.

    Attributes:
        num_rows: rows in the part.
        estimate: its figure.
        rest: that of all other rows.
        difference: the part's less the others', by Newcombe's way of joining two intervals
            (Statistics in Medicine 17, 1998; for other than rates Zou and Donner, 2008).
        p_value: how often chance alone would give such a difference.
    """

    num_rows: int
    estimate: Estimate
    rest: Estimate
    difference: Estimate
    p_value: float


def ratio_of(task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]) -> Ratio:
    """Accuracy; for several labels a row micro-F1.

    Macro-F1 would not do there: labels that a part does not have count as zero in its mean.
    """
    decided = decide(task, probabilities)
    if not is_multi_label(task):
        return Ratio("accuracy", (decided == targets).astype(float), np.ones(len(targets)))
    truth = targets > 0.5
    above = 2.0 * (truth & decided).sum(axis=1)
    return Ratio("micro_f1", above, (truth.sum(axis=1) + decided.sum(axis=1)).astype(float))


def against_rest(
    ratio: Ratio,
    members: sparse.csc_array,
    *,
    groups: NDArray[np.int64] | None = None,
    is_worse_only: bool = False,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> list[AgainstRest]:
    """Each part against all rows that are not in it.

    Accuracy of rows that stand alone has Wilson's interval and Fisher's exact test. All else has
    the bootstrap, over groups where rows of one group depend on each other, and a normal test with
    its standard error.

    Args:
        members: which of n rows are in which of m parts, [n, m]; no part is empty.
        groups: int64 [n]; None where rows stand alone.
        is_worse_only: whether the test is for a lower figure, rather than for another one.
    """
    if ratio.metric == "accuracy" and groups is None:
        counted = _sums(ratio, members).round().astype(int).tolist()
        return [
            _by_counts((right, size), (rest_right, num_rest), confidence, is_worse_only)
            for right, size, rest_right, num_rest in counted
        ]
    return _by_bootstrap(ratio, members, groups, is_worse_only, confidence, resamples, seed)


def _sums(ratio: Ratio, members: sparse.csc_array) -> NDArray[np.float64]:
    """Of each part: above and below, and above and below of the rest; [m, 4]."""
    above, below = members.T @ ratio.above, members.T @ ratio.below
    return np.column_stack([above, below, ratio.above.sum() - above, ratio.below.sum() - below])


def _by_counts(
    own: tuple[int, int], rest: tuple[int, int], confidence: float, is_worse_only: bool
) -> AgainstRest:
    """By how many rows are right, and of how many."""
    from scipy.stats import fisher_exact

    mine, others = wilson_rate(*own, confidence), wilson_rate(*rest, confidence)
    table = np.array([[right, size - right] for right, size in (own, rest)])
    alternative: Literal["less", "two-sided"] = "less" if is_worse_only else "two-sided"
    p_value = float(fisher_exact(table, alternative=alternative).pvalue)
    return AgainstRest(own[1], mine, others, _difference(mine, others), p_value)


def _by_bootstrap(
    ratio: Ratio, members: sparse.csc_array, groups: NDArray[np.int64] | None,
    is_worse_only: bool, confidence: float, resamples: int, seed: int,
) -> list[AgainstRest]:  # fmt: skip
    num_parts = members.shape[1]
    rows = sparse.csr_array(members)
    columns = [rows.multiply(ratio.above[:, None]), rows.multiply(ratio.below[:, None])]
    totals = sparse.csr_array(np.column_stack([ratio.above, ratio.below]))
    statistics = sparse.hstack([*columns, totals], format="csr")
    num_units = np.asarray(members.sum(axis=0))
    num_others = members.shape[0] - num_units
    if groups is not None:
        _, codes = np.unique(groups, return_inverse=True)
        owners = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))))
        statistics = sparse.csr_array(owners @ statistics)
        inside = sparse.coo_array(owners @ rows)
        num_units = np.bincount(inside.col, minlength=num_parts)
        whole = inside.col[inside.data == np.bincount(codes)[inside.row]]
        num_others = owners.shape[0] - np.bincount(whole, minlength=num_parts)
    drawn = resampled_sums(statistics, resamples, seed)
    above, below = drawn[:, :num_parts], drawn[:, num_parts:-2]
    own_samples = _ratio(above, below)
    rest_samples = _ratio(drawn[:, -2:-1] - above, drawn[:, -1:] - below)
    found = []
    for place, (own_above, own_below, rest_above, rest_below) in enumerate(
        _sums(ratio, members).tolist()
    ):
        samples = (own_samples[:, place], rest_samples[:, place])
        units = int(num_units[place])
        own = _estimate(own_above, own_below, samples[0], units, confidence)
        others = int(num_others[place])
        rest = _estimate(rest_above, rest_below, samples[1], others, confidence)
        p_value = _normal_test(own.value - rest.value, samples, units, is_worse_only)
        num_rows = int(members[:, [place]].sum())
        found.append(AgainstRest(num_rows, own, rest, _difference(own, rest), p_value))
    return found


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """above / below; not a number where a sample holds nothing of a part."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _estimate(
    above: float, below: float, samples: NDArray[np.float64], units: int, confidence: float
) -> Estimate:
    """The bootstrap's interval, or where it has no width Wilson's, of as many trials as units."""
    value = above / below if below else 0.0
    if units < 2:
        return Estimate.alone(value)
    found = bootstrap_interval(value, samples, confidence, "share")
    return found or wilson_rate(value * units, units, confidence)


def _normal_test(
    difference: float, samples: tuple[NDArray[np.float64], ...], units: int, worse: bool
) -> float:
    from scipy.stats import norm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a part that no sample holds
        spread = float(np.nanstd(samples[0] - samples[1]))
    if units < 2 or not spread > 0:  # nothing is known of how much it varies
        return 1.0
    return float(norm.cdf(difference / spread) if worse else 2 * norm.sf(abs(difference) / spread))


def _difference(own: Estimate, rest: Estimate) -> Estimate:
    value = own.value - rest.value
    if not (own.has_interval and rest.has_interval):
        return Estimate.alone(value)
    below = np.hypot(own.value - own.low, rest.high - rest.value)
    above = np.hypot(own.high - own.value, rest.value - rest.low)
    return Estimate(value, max(-1.0, value - float(below)), min(1.0, value + float(above)))
