"""Conformal prediction: sets of labels that hold the true one as often as is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.evaluation._headline import broken_promise, figure
from tunesmith.evaluation._intervals import percentile_interval, rate_estimate
from tunesmith.evaluation._measure import resampled_sums
from tunesmith.evaluation._outcomes import check_arrays
from tunesmith.tasks import Conformal, ConformalScore, Task, conformity
from tunesmith.types import Estimate

__all__ = ["ConformalSection", "conformal_section", "fit_conformal"]

COVERAGES = (0.8, 0.85, 0.9, 0.95, 0.975, 0.99)

ROWS_A_LABEL = 100
"""A label with so many validation rows gets quantiles of its own."""

MIN_SUPPORT = 20
"""Test rows that a label must have to be named as the worst covered."""


def fit_conformal(
    probabilities: NDArray[np.float64], targets: NDArray[Any], *, score: ConformalScore = "lac"
) -> Conformal:
    """Split conformal prediction: quantiles of how odd the true labels look on validation rows.

    For coverage c and n rows the ⌈(n + 1) c⌉-th smallest score is taken, so that a set holds the
    true label of a new row with a probability of at least c, whatever the model, where rows come
    from the same source (Vovk, Gammerman and Shafer 2005; Lei et al., JASA 113, 2018). Labels with
    100 rows or more get their own quantile, which makes the coverage hold for each of them
    (Mondrian; Vovk 2012); the others share one over their rows together. Coverages that so few rows
    cannot give are left out.

    "lac" has the smallest sets on average for a coverage (Sadinle, Lei and Wasserman 2019), and is
    the default; "raps" has larger sets where a row is hard, and larger ones in all.

    Args:
        probabilities: [n, labels], of rows that the model and its calibration were not fitted on.
        targets: int64 [n].
    """
    num_rows, num_labels = probabilities.shape
    odd = conformity(score, probabilities)[np.arange(num_rows), targets]
    own = np.bincount(targets, minlength=num_labels) >= ROWS_A_LABEL
    rest = odd[~own[targets]]
    by_label = [odd[targets == place] if own[place] else rest for place in range(num_labels)]
    quantiles: list[tuple[float, tuple[float, ...]]] = []
    for coverage in COVERAGES:
        common = _quantile(odd, coverage)
        if common is None:
            continue
        if not own.any():
            quantiles.append((coverage, (common,)))
            continue
        found = [_quantile(scores, coverage) for scores in by_label]
        # A group of too few rows takes what holds over all rows.
        levels = tuple(common if value is None else value for value in found)
        quantiles.append((coverage, levels))
    return Conformal(score, tuple(quantiles), num_rows)


def _quantile(scores: NDArray[np.float64], coverage: float) -> float | None:
    """The finite-sample corrected quantile; None where there are too few scores for it."""
    # Rounded, for 0.9 * 10 is a little more than 9.
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))
    return None if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


@dataclass(frozen=True, slots=True)
class Covered:
    """Sets on unseen rows.

    Attributes:
        asked: the coverage that was asked.
        reached: the share of sets that hold the true label.
        size: labels in a set, on average.
        single: the share of sets of one label.
        worst: the label that is covered least, of those with 20 rows; None where there is none.
        worst_reached: its coverage.
    """

    asked: float
    reached: Estimate
    size: Estimate
    single: float
    worst: str | None
    worst_reached: float | None

    @property
    def is_kept(self) -> bool:
        """Whether as many sets hold the true label as was asked."""
        return self.reached.value >= self.asked


@dataclass(frozen=True, slots=True)
class ConformalSection:
    """The report's part on sets of labels.

    Attributes:
        score: see `Conformal.score`.
        by_label: whether labels have quantiles of their own.
        num_fitted: validation rows behind them.
    """

    score: ConformalScore
    by_label: bool
    num_fitted: int
    covered: tuple[Covered, ...]
    num_rows: int
    confidence: float

    name: ClassVar[str] = "conformal"
    template: ClassVar[str] = "conformal.html"

    def view(self) -> Mapping[str, Any]:
        return {
            "section": self,
            "broken": self.broken(),
            "confidence": f"{100 * self.confidence:g}",
        }

    def broken(self) -> tuple[str, ...]:
        """The coverages that these rows did not reach, in words."""
        what = "of the sets hold the true label"
        return tuple(
            broken_promise(f"--coverage {own.asked:g}", what, own.asked, own.reached)
            for own in self.covered
            if not own.is_kept
        )

    def sentences(self) -> tuple[str, ...]:
        found = [own for own in self.covered if own.asked == 0.9] or list(self.covered)
        if not found:
            return ()
        own = found[0]
        sentence = (
            f"label sets: at --coverage {own.asked:g} {figure('', own.reached.value)} of the test "
            f"rows have the true label in theirs, of {own.size.value:.1f} labels on average"
        )
        return (sentence,)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        covered = tuple(
            Covered(
                **{**own, **{name: Estimate.from_dict(own[name]) for name in ("reached", "size")}}
            )
            for own in saved["covered"]
        )
        return cls(**{**saved, "covered": covered})


def conformal_section(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    conformal: Conformal,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ConformalSection:
    """Measures coverage and size of the sets on unseen rows; for tasks with one label a row.

    Args:
        targets: int64 [n].
        probabilities: [n, labels].
        conformal: the quantiles that are shipped.
    """
    check_arrays(task, targets, probabilities)
    num_rows = len(targets)
    levels = [level for level, _ in conformal.quantiles]
    all_sets = [conformal.sets(probabilities, level) for level in levels]
    sizes = np.column_stack([own.sum(axis=1) for own in all_sets]) if levels else np.empty((0, 0))
    samples = (
        resampled_sums(sparse.csr_array(sizes.astype(np.float64)), resamples, seed) / num_rows
        if levels
        else sizes
    )
    support = np.bincount(targets, minlength=len(task.labels))
    covered = []
    for place, (level, own) in enumerate(zip(levels, all_sets, strict=True)):
        hits = own[np.arange(num_rows), targets]
        shares = np.bincount(targets, hits, minlength=len(support)) / np.maximum(support, 1)
        enough = np.flatnonzero(support >= MIN_SUPPORT)
        worst = int(enough[shares[enough].argmin()]) if len(enough) else None
        covered.append(
            Covered(
                asked=level,
                reached=rate_estimate(float(hits.sum()), num_rows, confidence),
                size=percentile_interval(
                    float(sizes[:, place].mean()), samples[:, place], confidence
                ),
                single=float((sizes[:, place] == 1).mean()),
                worst=None if worst is None else task.labels[worst],
                worst_reached=None if worst is None else float(shares[worst]),
            )
        )
    by_label = any(len(values) > 1 for _, values in conformal.quantiles)
    return ConformalSection(
        conformal.score, by_label, conformal.num_rows, tuple(covered), num_rows, confidence
    )
