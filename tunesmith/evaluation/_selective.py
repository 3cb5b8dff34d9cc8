"""Selective prediction: answering where the model is sure, and leaving the rest to people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tunesmith.evaluation._charts import chart, share_axis
from tunesmith.evaluation._headline import broken_promise, figure
from tunesmith.evaluation._intervals import percentile_interval, rate_estimate
from tunesmith.evaluation._measure import resampled_weights
from tunesmith.evaluation._outcomes import check_arrays
from tunesmith.tasks import Selective, Task
from tunesmith.types import Estimate

__all__ = ["SelectiveSection", "fit_selective", "selective_section"]

PRECISIONS = (0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
CURVE_POINTS = 100


def fit_selective(
    probabilities: NDArray[np.float64], targets: NDArray[Any], *, confidence: float = 0.95
) -> Selective:
    """For each precision the lowest threshold that validation rows vouch for.

    Selection with guaranteed risk (Geifman and El-Yaniv, "Selective classification for deep neural
    networks", NeurIPS 2017, algorithm 1): a binary search over thresholds, each of which must keep
    the upper Clopper–Pearson bound of its error below the wanted one at a level that is shared out
    over all steps. So for rows like these the precision holds with probability `confidence`.

    Args:
        probabilities: [n, labels], of rows that the model and its calibration were not fitted on.
        targets: int64 [n].
    """
    surest = probabilities.max(axis=1)
    order = np.argsort(surest, kind="stable")
    ranked = surest[order]
    wrong = (probabilities.argmax(axis=1) != targets)[order]
    # Errors among the rows from each rank on.
    errors = np.cumsum(wrong[::-1])[::-1]
    found = ((level, _threshold(ranked, errors, 1 - level, confidence)) for level in PRECISIONS)
    thresholds = tuple((level, value) for level, value in found if value is not None)
    return Selective(thresholds, confidence, len(targets))


def _threshold(
    ranked: NDArray[np.float64], errors: NDArray[np.int64], risk: float, confidence: float
) -> float | None:
    """The lowest threshold whose error stays below `risk`; 0 where all may be answered."""
    num_rows = len(ranked)
    steps = math.ceil(math.log2(num_rows)) + 1
    each = (1 - confidence) / steps

    def holds(place: int) -> bool:
        accepted = num_rows - place
        wrong = int(errors[place])
        if wrong == accepted:
            return False
        return bool(stats.beta.ppf(1 - each, wrong + 1, accepted - wrong) < risk)

    if holds(0):
        return 0.0
    low, high, best = 0, num_rows - 1, None
    for _ in range(steps - 1):
        middle = (low + high + 1) // 2
        # Rows of equal probability are answered together.
        place = int(np.searchsorted(ranked, ranked[middle], side="left"))
        if holds(place):
            best = float(ranked[place]) if best is None else min(best, float(ranked[place]))
            high = middle
        else:
            low = middle
    return best


@dataclass(frozen=True, slots=True)
class Answered:
    """What becomes of the rows where the surest share of them is answered.

    Attributes:
        coverage: the share that is answered.
        threshold: the least probability among them.
        accuracy: of those that are answered.
    """

    coverage: float
    threshold: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Promised:
    """A precision that validation rows vouched for, on rows that they did not see.

    Attributes:
        precision: what was promised.
        threshold: the least probability of an answer that is given.
        coverage: the share of the rows that are answered.
        reached: the precision among them.
    """

    precision: float
    threshold: float
    coverage: Estimate
    reached: Estimate

    @property
    def is_kept(self) -> bool:
        """Whether as many answers were right as promised, or none was given."""
        return not self.coverage.value or self.reached.value >= self.precision


@dataclass(frozen=True, slots=True)
class SelectiveSection:
    """The report's part on abstaining.

    Attributes:
        aurc: the area under the risk–coverage curve: the mean error over all shares of rows that
            could be answered, the surest first (Geifman, Uziel and El-Yaniv, ICLR 2019).
        random: what it would be if probabilities said nothing of errors: the error of all rows.
        curve: (coverage, error), rising coverage.
    """

    aurc: Estimate
    random: float
    curve: tuple[tuple[float, float], ...]
    answered: tuple[Answered, ...]
    promised: tuple[Promised, ...]
    num_rows: int
    confidence: float

    name: ClassVar[str] = "selective"
    template: ClassVar[str] = "selective.html"

    def view(self) -> Mapping[str, Any]:
        highest = max(error for _, error in self.curve)
        y_axis = share_axis(0.0, max(highest, 0.01))
        drawn = chart(
            "Errors by share answered",
            ("answered, the surest first", "wrong"),
            lines=[
                ("the surest first", "accent", self.curve),
                ("in any order", "quiet", [(0.0, self.random), (1.0, self.random)]),
            ],
            x_axis=share_axis(0.0, 1.0),
            y_axis=y_axis if y_axis[-1] >= highest else (*y_axis, y_axis[-1] + y_axis[1]),
        )
        return {
            "chart": drawn,
            "answered": self.answered,
            "promised": self.promised,
            "broken": self.broken(),
            "aurc": self.aurc,
            "random": self.random,
            "confidence": f"{100 * self.confidence:g}",
        }

    def broken(self) -> tuple[str, ...]:
        """The promises that these rows did not keep, in words."""
        return tuple(
            broken_promise(f"--precision {own.precision:g}", "right", own.precision, own.reached)
            for own in self.promised
            if not own.is_kept
        )

    def sentences(self) -> tuple[str, ...]:
        useful = [own for own in self.promised if own.threshold > 0 and own.coverage.value > 0]
        if not useful:
            return ()
        best = useful[-1]
        sentence = (
            f"abstaining: at --precision {best.precision:g} it answers "
            f"{figure('', best.coverage.value)} of the test rows, "
            f"{figure('', best.reached.value)} of them right"
        )
        return (sentence,)

    def as_dict(self) -> dict[str, Any]:
        return {
            "aurc": self.aurc.as_dict(),
            "random": self.random,
            "curve": [list(point) for point in self.curve],
            "answered": [
                {
                    "coverage": own.coverage,
                    "threshold": own.threshold,
                    "accuracy": own.accuracy.as_dict(),
                }
                for own in self.answered
            ],
            "promised": [
                {
                    "precision": own.precision,
                    "threshold": own.threshold,
                    "coverage": own.coverage.as_dict(),
                    "reached": own.reached.as_dict(),
                }
                for own in self.promised
            ],
            "num_rows": self.num_rows,
            "confidence": self.confidence,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        return cls(
            Estimate.from_dict(saved["aurc"]),
            saved["random"],
            tuple((float(x), float(y)) for x, y in saved["curve"]),
            tuple(
                Answered(own["coverage"], own["threshold"], Estimate.from_dict(own["accuracy"]))
                for own in saved["answered"]
            ),
            tuple(
                Promised(
                    own["precision"],
                    own["threshold"],
                    Estimate.from_dict(own["coverage"]),
                    Estimate.from_dict(own["reached"]),
                )
                for own in saved["promised"]
            ),
            saved["num_rows"],
            saved["confidence"],
        )


def selective_section(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    selective: Selective | None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> SelectiveSection:
    """Measures on unseen rows what abstaining brings; for tasks with one label a row.

    Args:
        targets: int64 [n].
        probabilities: [n, labels].
        selective: the thresholds that are shipped.
    """
    check_arrays(task, targets, probabilities)
    surest = probabilities.max(axis=1)
    order = np.argsort(-surest, kind="stable")
    wrong = (probabilities.argmax(axis=1) != targets)[order].astype(np.float64)
    num_rows = len(wrong)
    risks = np.cumsum(wrong) / np.arange(1, num_rows + 1)
    shown = np.unique(np.linspace(1, num_rows, CURVE_POINTS).round().astype(np.int64))
    return SelectiveSection(
        aurc=_aurc(wrong, float(risks.mean()), confidence, resamples, seed),
        random=float(wrong.mean()),
        curve=tuple((float(place / num_rows), float(risks[place - 1])) for place in shown),
        answered=tuple(_answered(share, surest[order], wrong, confidence) for share in COVERAGES),
        promised=tuple(
            _promised(level, threshold, surest[order], wrong, confidence)
            for level, threshold in (() if selective is None else selective.thresholds)
        ),
        num_rows=num_rows,
        confidence=confidence,
    )


def _aurc(
    wrong: NDArray[np.float64], value: float, confidence: float, resamples: int, seed: int
) -> Estimate:
    """The mean over rows of the error among rows at least as sure, over bootstrap samples."""
    samples: list[float] = []
    for weights in resampled_weights(len(wrong), resamples, seed):
        counts = weights.T
        answered = np.cumsum(counts, axis=1)
        errors = np.cumsum(counts * wrong, axis=1)
        risks = errors / np.maximum(answered, 1)
        samples += ((risks * counts).sum(axis=1) / len(wrong)).tolist()
    return percentile_interval(value, np.array(samples), confidence)


def _answered(
    share: float, ranked: NDArray[np.float64], wrong: NDArray[np.float64], confidence: float
) -> Answered:
    count = max(1, round(share * len(wrong)))
    right = float(count - wrong[:count].sum())
    return Answered(share, float(ranked[count - 1]), rate_estimate(right, count, confidence))


def _promised(
    level: float,
    threshold: float,
    ranked: NDArray[np.float64],
    wrong: NDArray[np.float64],
    confidence: float,
) -> Promised:
    given = ranked >= threshold
    count = int(given.sum())
    return Promised(
        level,
        threshold,
        rate_estimate(count, len(wrong), confidence),
        rate_estimate(float(count - wrong[given].sum()), count, confidence),
    )
