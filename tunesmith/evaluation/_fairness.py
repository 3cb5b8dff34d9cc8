"""What a model does to the groups of a column: rates a group, and the gaps between groups.

Selection rates (demographic parity), true positive rates (equal opportunity) and false positive
rates (with them equalised odds; Hardt, Price and Srebro, NeurIPS 2016). Figures only: which gap is
unjust is nothing that a program can say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.evaluation._figures import interval_bars
from tunesmith.evaluation._intervals import difference_interval, rate_estimate
from tunesmith.evaluation._measure import resampled_sums
from tunesmith.evaluation._outcomes import row_statistics
from tunesmith.evaluation._parts import parts_of
from tunesmith.tasks import Task
from tunesmith.types import Estimate

__all__ = ["Fairness", "Gap", "Group", "judge_fairness"]

FEWEST_ROWS = 10
"""A group with fewer rows is counted, and not compared."""
SMALL = 50
"""Of a group with fewer rows it is said that its figures are rough."""
_SHUFFLES = 200
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Group:
    """The test rows with one value of the column.

    Attributes:
        value: the value.
        num_rows: rows that have it.
        accuracy: share of them that is answered right.
        selection_rate: label → share of them that is given it.
        true_positive_rate: label → of those that have it, the share that is given it. Labels that
            none of the group's rows has are missing.
        false_positive_rate: label → of those that do not have it, the share that is given it.
    """

    value: str
    num_rows: int
    accuracy: Estimate
    selection_rate: Mapping[str, Estimate]
    true_positive_rate: Mapping[str, Estimate]
    false_positive_rate: Mapping[str, Estimate]

    @property
    def is_small(self) -> bool:
        """Whether the figures are rough for want of rows."""
        return self.num_rows < SMALL

    def as_dict(self) -> dict[str, Any]:
        rates = ("selection_rate", "true_positive_rate", "false_positive_rate")
        return {
            "value": self.value,
            "num_rows": self.num_rows,
            "accuracy": self.accuracy.as_dict(),
            **{
                name: {label: one.as_dict() for label, one in getattr(self, name).items()}
                for name in rates
            },
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Group:
        """What `as_dict` described."""
        rates = ("selection_rate", "true_positive_rate", "false_positive_rate")
        read = {
            name: {label: Estimate.from_dict(one) for label, one in saved[name].items()}
            for name in rates
        }
        return cls(**{**saved, **read, "accuracy": Estimate.from_dict(saved["accuracy"])})


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest difference of a rate between two groups.

    Attributes:
        rate: "accuracy", "selection_rate", "true_positive_rate" or "false_positive_rate".
        label: the label that the rate is of; "" for accuracy.
        highest, lowest: the two groups.
        difference: the rate of the one less that of the other.
        by_chance: what the largest difference between any two groups stays below in 95 of 100
            shuffles of the groups among the rows: of a rate that is the same for all of them.
    """

    rate: str
    label: str
    highest: str
    lowest: str
    difference: Estimate
    by_chance: float

    def as_dict(self) -> dict[str, Any]:
        own = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {**own, "difference": self.difference.as_dict()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Gap:
        """What `as_dict` described."""
        return cls(**{**saved, "difference": Estimate.from_dict(saved["difference"])})


@dataclass(frozen=True, slots=True)
class Fairness:
    """The report's section on the groups of a column.

    Attributes:
        column: the column's name.
        groups: by value, the commonest first; numbers and dates in quarters.
        gaps: one a rate and label, accuracy first; then by how far they exceed chance.
        num_left_out: rows of groups that are too small to compare.
    """

    column: str
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    num_left_out: int = 0

    @property
    def name(self) -> str:
        return "fairness"

    @property
    def template(self) -> str:
        return "fairness.html"

    def view(self) -> Mapping[str, Any]:
        bars, axis = interval_bars([group.accuracy for group in self.groups], axis=(0.0, 1.0))
        return {
            "column": self.column,
            "groups": list(zip(self.groups, bars, strict=True)),
            "axis": axis,
            "gaps": self.gaps[:_SHOWN],
            "others": self.gaps[_SHOWN:],
            "num_left_out": self.num_left_out,
            "fewest_rows": FEWEST_ROWS,
            "small": SMALL,
        }

    def sentences(self) -> tuple[str, ...]:
        gap = next((one for one in self.gaps if one.rate == "accuracy"), None)
        if gap is None:
            return ()
        size = gap.difference
        ends = f"{100 * size.low:.1f} to {100 * size.high:.1f}" if size.has_interval else "–"
        points = f"{100 * size.value:.1f} points ({ends})"
        chance = f"by chance up to {100 * gap.by_chance:.1f}"
        between = f"{points.replace('-', '−')} between {gap.highest!r} and {gap.lowest!r}"
        return (f"accuracy by {self.column!r}: {between}; {chance}",)

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "column": self.column,
            "groups": [group.as_dict() for group in self.groups],
            "gaps": [gap.as_dict() for gap in self.gaps],
            "num_left_out": self.num_left_out,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Fairness:
        """What `as_dict` described."""
        groups = tuple(Group.from_dict(one) for one in saved["groups"])
        gaps = tuple(Gap.from_dict(one) for one in saved["gaps"])
        return cls(saved["column"], groups, gaps, saved["num_left_out"])


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts of G groups in each of R samples; `hits`, `support`, `given` are [R, G, labels]."""

    rows: NDArray[np.float64]
    exact: NDArray[np.float64]
    hits: NDArray[np.float64]
    support: NDArray[np.float64]
    given: NDArray[np.float64]

    @classmethod
    def of(cls, sums: NDArray[np.float64], num_labels: int) -> _Counts:
        """From sums of the columns of `_statistics`, [R, G, 3 x labels + 2]."""
        hits, support, given = (sums[..., i * num_labels : (i + 1) * num_labels] for i in range(3))
        return cls(sums[..., -1], sums[..., -2], hits, support, given)

    def rates(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Rate → what it counts and of how many; each [R, G, labels], of accuracy [R, G, 1]."""
        rows = np.broadcast_to(self.rows[..., None], self.hits.shape)
        return {
            "accuracy": (self.exact[..., None], self.rows[..., None]),
            "selection_rate": (self.given, rows),
            "true_positive_rate": (self.hits, self.support),
            "false_positive_rate": (self.given - self.hits, rows - self.support),
        }


def judge_fairness(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    column: str,
    values: Sequence[object],
    *,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Fairness | None:
    """Rates of each group of a column, and the gaps between them.

    Rates have Wilson's interval, gaps that of the bootstrap over rows (over groups of dependent
    rows where there are any).

    Args:
        targets: as `task.encode` gives them, int64 [n] or float32 [n, labels].
        probabilities: float64 [n, labels].
        column: its name.
        values: n values of the column.
        groups: int64 [n], rows of one group depend on each other; not the groups of the column.

    Returns:
        None where fewer than two groups have enough rows.
    """
    parts = parts_of(values)
    sizes = np.bincount(parts.codes, minlength=len(parts.names))
    kept = np.flatnonzero(sizes >= FEWEST_ROWS)
    if len(kept) < 2:
        return None
    kept = kept[np.argsort(-sizes[kept], kind="stable")]
    statistics = _statistics(task, targets, probabilities)
    members = sparse.csr_array(parts.members()[:, kept])
    names = [parts.names[place] for place in kept.tolist()]
    own = _Counts.of(np.asarray((members.T @ statistics).todense())[None], len(task.labels))
    samples = _Counts.of(_resampled(members, statistics, groups, resamples, seed), len(task.labels))
    shuffled = _Counts.of(_shuffled(members, statistics, seed), len(task.labels))
    return Fairness(
        column,
        _groups(names, task.labels, own, confidence),
        _gaps(names, task.labels, own, samples, shuffled, confidence),
        int(len(targets) - sizes[kept].sum()),
    )


def _statistics(
    task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> sparse.csr_array:
    """What each row adds: hits, support, given, right, and one row; [n, 3 x labels + 2]."""
    statistics = row_statistics(task, targets, probabilities)
    kept = 3 * len(task.labels) + statistics.names.index("exact") + 1
    counted = statistics.columns[:, :kept]
    one_each = sparse.csr_array(np.ones((len(targets), 1)))
    return sparse.csr_array(sparse.hstack([counted, one_each]))


def _resampled(
    members: sparse.csr_array,
    statistics: sparse.csr_array,
    groups: NDArray[np.int64] | None,
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """Sums over bootstrap samples, [R, G, columns]."""
    num_parts = members.shape[1]
    apart = [statistics.multiply(members[:, [place]]) for place in range(num_parts)]
    rows = sparse.csr_array(sparse.hstack(apart))
    if groups is not None:
        _, codes = np.unique(groups, return_inverse=True)
        rows = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes))))) @ rows
    return resampled_sums(rows, resamples, seed).reshape(resamples, num_parts, -1)


def _shuffled(
    members: sparse.csr_array, statistics: sparse.csr_array, seed: int
) -> NDArray[np.float64]:
    """Sums where the column's values are dealt out to the rows anew, [shuffles, G, columns]."""
    generator = np.random.default_rng(seed)
    return np.stack(
        [
            (members[generator.permutation(members.shape[0])].T @ statistics).toarray()
            for _ in range(_SHUFFLES)
        ]
    )


def _groups(
    names: Sequence[str], labels: Sequence[str], own: _Counts, confidence: float
) -> tuple[Group, ...]:
    rates = own.rates()

    def of(rate: str, group: int) -> dict[str, Estimate]:
        above, below = (part[0, group].tolist() for part in rates[rate])
        return {
            label: rate_estimate(a, b, confidence)
            for label, a, b in zip(labels, above, below, strict=True)
            if b
        }

    return tuple(
        Group(
            name,
            int(own.rows[0, place]),
            rate_estimate(float(own.exact[0, place]), float(own.rows[0, place]), confidence),
            of("selection_rate", place),
            of("true_positive_rate", place),
            of("false_positive_rate", place),
        )
        for place, name in enumerate(names)
    )


def _gaps(
    names: Sequence[str],
    labels: Sequence[str],
    own: _Counts,
    samples: _Counts,
    shuffled: _Counts,
    confidence: float,
) -> tuple[Gap, ...]:
    """The gap of each rate and label for which two groups have enough rows."""
    of_samples, of_shuffled = samples.rates(), shuffled.rates()
    gaps = []
    for rate, (above, below) in own.rates().items():
        for label in range(above.shape[2]):
            fitting = np.flatnonzero(below[0, :, label] >= FEWEST_ROWS)
            if len(fitting) < 2:
                continue
            values = above[0, fitting, label] / below[0, fitting, label]
            high, low = fitting[values.argmax()], fitting[values.argmin()]
            drawn = _rate(of_samples[rate], label)
            difference = drawn[:, high] - drawn[:, low]
            value = float(values.max() - values.min())
            chance = _rate(of_shuffled[rate], label)[:, fitting]
            unknown = np.isnan(chance)
            most = np.where(unknown, -np.inf, chance).max(axis=1)
            spread = most - np.where(unknown, np.inf, chance).min(axis=1)
            gaps.append(
                Gap(
                    rate,
                    "" if rate == "accuracy" else labels[label],
                    names[high],
                    names[low],
                    difference_interval(value, difference, confidence) or Estimate.alone(value),
                    float(np.quantile(spread, 0.95)),
                )
            )
    gaps.sort(key=lambda gap: (gap.rate != "accuracy", gap.by_chance - gap.difference.value))
    return tuple(gaps)


def _rate(
    counts: tuple[NDArray[np.float64], NDArray[np.float64]], label: int
) -> NDArray[np.float64]:
    """[R, G]; not a number where a sample has no row to count."""
    above, below = (part[:, :, label] for part in counts)
    rate: NDArray[np.float64] = np.divide(
        above, below, out=np.full(above.shape, np.nan), where=below > 0
    )
    return rate
