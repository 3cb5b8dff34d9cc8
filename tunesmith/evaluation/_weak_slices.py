"""Weak slices that nobody named: simple conditions under which the model errs much more often.

In the manner of Slice Finder (Chung, Kraska, Polyzotis, Tae and Whang, ICDE 2019): a lattice of
conditions, single ones first, then pairs of which each half adds something. A search through
thousands of conditions always finds some that look bad, so what it finds on one half of the test
rows is only reported with the figures of the other half, and only where these agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.evaluation._against_rest import AgainstRest, against_rest, ratio_of
from tunesmith.evaluation._conditions import Condition, conditions_of
from tunesmith.evaluation._figures import interval_bars
from tunesmith.evaluation._headline import figure, metric_name
from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.evaluation._slices import CHANCE, row_texts
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Estimate

__all__ = ["WeakSlice", "WeakSlices", "find_weak_slices"]

_FEWEST_ROWS = 100  # of the test; half of fewer shows nothing
_FEWEST_MISTAKES = 10
_MOST_ROWS = 20_000  # of more, some are drawn: their words take a tenth of a millisecond each
_FEWEST_IN_SLICE, _LEAST_SHARE = 8, 0.01
_TIMES_WORSE = 1.5
_MOST_CANDIDATES = 20
_EXPANDED = 100
_LIKELY = 0.05
_EXAMPLES = 5
_SAME = 0.5  # slices that share so much of their mistakes are one
_SENTENCES = 2


@dataclass(frozen=True, slots=True)
class WeakSlice:
    """Rows that fulfil one or two conditions, and in which the model errs much more often.

    Attributes:
        conditions: one, or two that hold together.
        num_rows: rows of the second half that fulfil them.
        num_found: rows of the first half, on which it was found.
        metric: "accuracy", or "micro_f1" where a row may have several labels.
        estimate: the figure in the second half.
        rest: that of all other rows of the second half.
        difference: `estimate` - `rest`.
        adjusted_p_value: how often chance would make the slice so much worse, in the second half,
            adjusted for all that were tested there (Benjamini and Hochberg 1995).
        rows: rows of the source with a mistake in the slice, the first of them, numbered from 1.
    """

    conditions: tuple[Condition, ...]
    num_rows: int
    num_found: int
    metric: str
    estimate: Estimate
    rest: Estimate
    difference: Estimate
    adjusted_p_value: float
    rows: tuple[int, ...] = ()

    def sentence(self) -> str:
        """The conditions, as a person would say them."""
        return " and ".join(condition.sentence() for condition in self.conditions)

    def as_dict(self) -> dict[str, Any]:
        return {
            "conditions": [condition.as_dict() for condition in self.conditions],
            "num_rows": self.num_rows,
            "num_found": self.num_found,
            "metric": self.metric,
            "estimate": self.estimate.as_dict(),
            "rest": self.rest.as_dict(),
            "difference": self.difference.as_dict(),
            "adjusted_p_value": self.adjusted_p_value,
            "rows": list(self.rows),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> WeakSlice:
        """What `as_dict` described."""
        figures = {
            name: Estimate.from_dict(saved[name]) for name in ("estimate", "rest", "difference")
        }
        conditions = tuple(Condition(**one) for one in saved["conditions"])
        own = {**saved, **figures, "conditions": conditions, "rows": tuple(saved["rows"])}
        return cls(**own)


@dataclass(frozen=True, slots=True)
class WeakSlices:
    """The report's section on slices that a search found.

    Attributes:
        slices: the lowest figure first.
        num_conditions: conditions that were looked at, alone and in pairs.
        num_tested: slices that looked bad in the first half and were tested in the second.
        num_rows: rows of each half, first and second.
    """

    slices: tuple[WeakSlice, ...]
    num_conditions: int
    num_tested: int
    num_rows: tuple[int, int]

    @property
    def name(self) -> str:
        return "weak_slices"

    @property
    def template(self) -> str:
        return "weak_slices.html"

    def view(self) -> Mapping[str, Any]:
        bars, axis = interval_bars([one.estimate for one in self.slices], axis=(0.0, 1.0))
        return {
            "slices": list(zip(self.slices, bars, strict=True)),
            "axis": axis,
            "metric": self.slices[0].metric if self.slices else "accuracy",
            "num_conditions": self.num_conditions,
            "num_tested": self.num_tested,
            "num_rows": self.num_rows,
        }

    def sentences(self) -> tuple[str, ...]:
        return tuple(
            f"many mistakes where {one.sentence()}: "
            f"{figure(one.metric, one.estimate.value)} {metric_name(one.metric)} "
            f"of {one.num_rows:,} rows, {figure(one.metric, one.rest.value)} elsewhere"
            for one in self.slices[:_SENTENCES]
        )

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "slices": [one.as_dict() for one in self.slices],
            "num_conditions": self.num_conditions,
            "num_tested": self.num_tested,
            "num_rows": list(self.num_rows),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> WeakSlices:
        """What `as_dict` described."""
        first, second = saved["num_rows"]
        slices = tuple(WeakSlice.from_dict(one) for one in saved["slices"])
        return cls(slices, saved["num_conditions"], saved["num_tested"], (first, second))


def find_weak_slices(
    task: Task,
    dataset: Dataset,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    columns: Mapping[str, Sequence[object]] | None = None,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> WeakSlices | None:
    """Searches for conditions that hold many more mistakes than the rest.

    Conditions are words that a text holds or lacks, its length and language, and the values of
    columns. What is in the result is so in the half of the rows that the search did not see, with
    a false discovery rate of 5 %.

    Args:
        dataset: the n rows that `targets` and `probabilities` belong to.
        columns: further columns of the rows, by name, n values each.
        groups: int64 [n], rows of one group depend on each other: they are in one half.

    Returns:
        None where there are too few rows or mistakes to search.
    """
    if len(targets) > _MOST_ROWS:
        some = np.sort(np.random.default_rng(seed).permutation(len(targets))[:_MOST_ROWS])
        return find_weak_slices(
            task, dataset.take(some), targets[some], probabilities[some],
            columns={name: [own[row] for row in some] for name, own in (columns or {}).items()},
            groups=None if groups is None else groups[some],
            confidence=confidence, resamples=resamples, seed=seed,
        )  # fmt: skip
    wrong = _wrong(task, targets, probabilities)
    first, second = _halves(len(wrong), groups, seed)
    if len(wrong) < _FEWEST_ROWS or min(wrong[first].sum(), wrong[second].sum()) < _FEWEST_MISTAKES:
        return None
    fewest = max(_FEWEST_IN_SLICE, int(_LEAST_SHARE * len(first)))
    conditions, fulfilled = conditions_of(row_texts(dataset), columns or {}, 2 * fewest)
    candidates, num_looked_at = _search(fulfilled[first], wrong[first], fewest)
    sizes = [_all_of(fulfilled, places)[second].sum() for places in candidates]
    tested = [
        places
        for places, size in zip(candidates, sizes, strict=True)
        if _FEWEST_IN_SLICE <= size < len(second)
    ]
    judged: list[AgainstRest] = []
    if tested:
        judged = against_rest(
            ratio_of(task, targets, probabilities).take(second),
            sparse.csc_array(np.column_stack([_all_of(fulfilled, one)[second] for one in tested])),
            groups=None if groups is None else groups[second], is_worse_only=True,
            confidence=confidence, resamples=resamples, seed=seed,
        )  # fmt: skip
    metric = "micro_f1" if is_multi_label(task) else "accuracy"
    slices = [
        WeakSlice(
            tuple(conditions[place] for place in places), one.num_rows,
            int(_all_of(fulfilled, places)[first].sum()), metric,
            one.estimate, one.rest, one.difference, chance,
            _rows(dataset, _all_of(fulfilled, places) * wrong),
        )
        for places, one, chance in _confirmed(tested, judged)
    ]  # fmt: skip
    slices.sort(key=lambda one: one.estimate.value)
    return WeakSlices(tuple(slices), num_looked_at, len(tested), (len(first), len(second)))


def _wrong(
    task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """1 for each row of which the answer is not entirely right, else 0."""
    differs = decide(task, probabilities) != (targets > 0.5 if is_multi_label(task) else targets)
    return np.asarray(differs.any(axis=1) if is_multi_label(task) else differs, dtype=np.float64)


def _halves(
    num_rows: int, groups: NDArray[np.int64] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two halves of the rows, drawn by `seed`; a group is in one of them."""
    generator = np.random.default_rng(seed)
    _, owners = np.unique(np.arange(num_rows) if groups is None else groups, return_inverse=True)
    drawn = generator.permutation(owners.max(initial=-1) + 1)[owners]
    order = np.argsort(drawn, kind="stable")
    cut = np.searchsorted(drawn[order], drawn[order[len(order) // 2]]) if len(order) else 0
    return np.sort(order[:cut]), np.sort(order[cut:])


def _search(
    fulfilled: sparse.csc_array, wrong: NDArray[np.float64], fewest: int
) -> tuple[list[tuple[int, ...]], int]:
    """The conditions, and pairs of them, under which mistakes are too many for chance.

    Returns:
        The columns of each, the clearest first, no two about the same mistakes; how many were
        looked at.
    """
    from scipy.stats import hypergeom

    num_rows, num_wrong = len(wrong), wrong.sum()
    sizes = np.asarray(fulfilled.sum(axis=0), dtype=np.float64)
    mistakes = fulfilled.T @ wrong
    chance = np.asarray(hypergeom.sf(mistakes - 1, num_rows, num_wrong, sizes))
    found: list[tuple[float, tuple[int, ...]]] = [
        (float(chance[place]), (place,))
        for place in np.flatnonzero(_is_worse(sizes, mistakes, num_rows, num_wrong)).tolist()
    ]
    leading = np.argsort(chance, kind="stable")[:_EXPANDED]
    left = fulfilled[:, leading]
    shared = (left.T @ fulfilled).toarray()
    shared_wrong = (left.multiply(wrong[:, None]).T @ fulfilled).toarray()
    both = _is_worse(shared, shared_wrong, num_rows, num_wrong) & (shared >= fewest)
    # A pair must be worse than either of its conditions alone, beyond chance.
    for own, own_wrong in (
        (sizes[leading][:, None], mistakes[leading][:, None]),
        (sizes[None, :], mistakes[None, :]),
    ):
        both &= hypergeom.sf(shared_wrong - 1, own, own_wrong, shared) <= _LIKELY
    pairs = {tuple(sorted((int(leading[i]), int(j)))) for i, j in np.argwhere(both)}
    chances = hypergeom.sf(shared_wrong - 1, num_rows, num_wrong, shared)
    rank = {place: i for i, place in enumerate(leading.tolist())}
    for one, other in sorted(pairs):
        i, j = (rank[one], other) if one in rank else (rank[other], one)
        found.append((chances[i, j], (one, other)))
    found = sorted(own for own in found if own[0] <= _LIKELY)
    return _different(found, fulfilled, wrong), len(sizes) + int((shared >= fewest).sum())


def _is_worse(
    sizes: NDArray[np.float64], mistakes: NDArray[np.float64], num_rows: int, num_wrong: float
) -> NDArray[np.bool_]:
    """Whether the share of mistakes is much larger than in the rest."""
    rest = (num_wrong - mistakes) / np.maximum(num_rows - sizes, 1)
    return np.asarray(mistakes >= _TIMES_WORSE * rest * sizes) & (mistakes > 0)


def _different(
    found: Sequence[tuple[float, tuple[int, ...]]],
    fulfilled: sparse.csc_array,
    wrong: NDArray[np.float64],
) -> list[tuple[int, ...]]:
    """The clearest, without those whose mistakes are mostly those of a clearer one."""
    chosen: list[tuple[int, ...]] = []
    known: list[NDArray[np.bool_]] = []
    for _, places in found:
        own = (_all_of(fulfilled, places) * wrong) > 0
        if all((own & other).sum() <= _SAME * own.sum() for other in known):
            chosen.append(places)
            known.append(own)
        if len(chosen) == _MOST_CANDIDATES:
            break
    return chosen


def _all_of(fulfilled: sparse.csc_array, places: Sequence[int]) -> NDArray[np.float64]:
    """1 for each row that fulfils all of some conditions, else 0."""
    return np.asarray(fulfilled[:, list(places)].toarray().prod(axis=1))


def _confirmed(
    tested: Sequence[tuple[int, ...]], judged: Sequence[AgainstRest]
) -> list[tuple[tuple[int, ...], AgainstRest, float]]:
    """What is worse in the second half too, with its adjusted chance."""
    from scipy.stats import false_discovery_control

    if not judged:
        return []
    adjusted = false_discovery_control([one.p_value for one in judged]).tolist()
    found = zip(tested, judged, adjusted, strict=True)
    return [one for one in found if one[2] <= CHANCE]


def _rows(dataset: Dataset, chosen: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(dataset.rows[np.flatnonzero(chosen)[:_EXAMPLES]].tolist())
