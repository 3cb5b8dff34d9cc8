"""Whether probabilities mean what they say: calibration error before and after calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.checks import counted
from tunesmith.evaluation._calibration_change import change_words
from tunesmith.evaluation._calibration_sums import NUM_BINS, answers_of, bins_of, blocks_of
from tunesmith.evaluation._charts import Chart, Point, chart
from tunesmith.evaluation._headline import figure
from tunesmith.evaluation._intervals import percentile_interval, wilson_rate
from tunesmith.evaluation._measure import resampled_sums
from tunesmith.evaluation._outcomes import check_arrays
from tunesmith.tasks import Task
from tunesmith.types import Estimate

__all__ = ["Bin", "CalibrationFigures", "CalibrationSection", "calibration_figures"]

_TRIFLE = 0.001
"""Of calibration error and log loss: on many rows less is significant, and matters to nobody."""

_TENTHS = tuple(place / 5 for place in range(6))


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one probability.

    Attributes:
        probability: the mean of what the model said.
        share: how many of them were right.
        count: how many there are.
    """

    probability: float
    share: float
    count: int


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """How far a model's probabilities are from how often it is right.

    Attributes:
        ece: expected calibration error of the likeliest label (of all labels together, where a row
            may have several): the mean distance of probability and share of right answers, over
            15 bins of equal width (Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al. 2017).
        adaptive_ece: the same over 15 bins of equally many answers (Nguyen and O'Connor, EMNLP
            2015).
        classwise_ece: the mean over the labels of each label's own error over 15 bins of equal
            width (Kull et al., NeurIPS 2019); None where it was not measured.
        brier: mean squared distance of the probabilities from 0 and 1, summed over the labels of a
            row (Brier 1950), or the mean over them where a row may have several.
        log_loss: in nats.
        bins: those of `ece` that hold answers.
        chance: about the `ece` that a perfectly calibrated model with these probabilities would
            show on so many rows, by chance alone.
    """

    ece: Estimate
    adaptive_ece: Estimate
    classwise_ece: Estimate | None
    brier: Estimate
    log_loss: Estimate
    bins: tuple[Bin, ...]
    chance: float

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """From the names of the fields → their JSON values."""
        estimates: dict[str, Any] = {
            name: None if saved[name] is None else Estimate.from_dict(saved[name])
            for name in _ESTIMATES
        }
        bins = tuple(Bin(**own) for own in saved["bins"])
        return cls(**estimates, bins=bins, chance=saved["chance"])


_ESTIMATES = ("ece", "adaptive_ece", "classwise_ece", "brier", "log_loss")


def calibration_figures(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> CalibrationFigures:
    """Measures calibration, with bootstrap intervals over rows.

    A calibration error is biased upwards: where the model is right on average, chance still parts
    share and probability in each bin. A resample repeats that bias, so these get the basic
    bootstrap interval, which takes it off, widened to hold the figure; the others the percentile
    interval.

    Args:
        targets: as `task.encode` gives them.
        probabilities: [n, labels].

    Raises:
        DataError, TrainingError: see `evaluate`.
    """
    check_arrays(task, targets, probabilities)
    said, right, _ = answers_of(targets, probabilities)
    num_rows, num_labels = probabilities.shape
    blocks = blocks_of(targets, probabilities)
    statistics = sparse.hstack(list(blocks.values()), format="csr")
    total = np.asarray(statistics.sum(axis=0), dtype=np.float64)[None, :]
    samples = resampled_sums(statistics, resamples, seed)
    ends = np.cumsum([0, *(block.shape[1] for block in blocks.values())]).tolist()
    places = {name: slice(*ends[at : at + 2]) for at, name in enumerate(blocks)}

    def error(name: str, cells: int) -> Estimate:
        own, drawn = (
            np.abs(sums[:, places[name]]).sum(axis=1) / cells for sums in (total, samples)
        )
        return _basic_interval(float(own[0]), drawn, confidence)

    def mean(name: str) -> Estimate:
        own, drawn = (sums[:, places[name]].sum(axis=1) / num_rows for sums in (total, samples))
        return percentile_interval(float(own[0]), drawn, confidence)

    return CalibrationFigures(
        ece=error("ece", len(said)),
        adaptive_ece=error("adaptive_ece", len(said)),
        classwise_ece=error("classwise_ece", num_rows * num_labels)
        if "classwise_ece" in blocks
        else None,
        brier=mean("brier"),
        log_loss=mean("log_loss"),
        bins=_filled(bins_of(said), said, right),
        chance=_chance(said),
    )


def _chance(said: NDArray[np.float64]) -> float:
    """The mean size of each bin's gap, where answers are right as often as is said.

    The gap is then a sum of independent terms of mean 0, about normal, whose mean size is the
    square root of 2 / pi times its variance.
    """
    variances = np.bincount(bins_of(said), said * (1 - said), minlength=NUM_BINS)
    return float(np.sqrt(2 * variances / np.pi).sum() / len(said))


def _basic_interval(value: float, samples: NDArray[np.float64], confidence: float) -> Estimate:
    """The samples' middle, mirrored at the value (Davison and Hinkley 1997, section 5.2)."""
    if np.ptp(samples) <= 0:
        return Estimate.alone(value)
    tail = (1 - confidence) / 2
    low, high = 2 * value - np.quantile(samples, [1 - tail, tail])
    return Estimate(value, min(max(0.0, float(low)), value), max(float(high), value))


def _filled(
    placed: NDArray[np.int64], said: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[Bin, ...]:
    counts = np.bincount(placed, minlength=NUM_BINS)
    sums = (np.bincount(placed, own, minlength=NUM_BINS) for own in (said, right))
    return tuple(
        Bin(float(summed / count), float(hits / count), int(count))
        for summed, hits, count in zip(*sums, counts, strict=True)
        if count
    )


@dataclass(frozen=True, slots=True)
class CalibrationSection:
    """The report's part on calibration.

    Attributes:
        method: how the shipped probabilities were calibrated; None where they are not.
        before: of the model's own probabilities.
        after: of those that are shipped; None where they are the model's own.
        change: calibration error and log loss after, less those before, on the same resamples;
            None where nothing was calibrated, and in older reports.
    """

    method: str | None
    before: CalibrationFigures
    after: CalibrationFigures | None
    num_rows: int
    confidence: float
    change: Mapping[str, Estimate] | None = None

    name: ClassVar[str] = "calibration"
    template: ClassVar[str] = "calibration.html"

    def view(self) -> Mapping[str, Any]:
        both = [("before", self.before)] + ([("after", self.after)] if self.after else [])
        return {
            "method": _METHODS.get(self.method or ""),
            "changes": change_words(self.change or {}),
            "is_worse": self.is_worse,
            "rows": [
                (title, name, [getattr(own, name) for _, own in both])
                for name, title in _TITLES.items()
                if self.before.classwise_ece is not None or name != "classwise_ece"
            ],
            "charts": [self._chart(title, own) for title, own in both],
            "chance": (self.after or self.before).chance,
            "confidence": f"{100 * self.confidence:g}",
        }

    def _chart(self, title: str, own: CalibrationFigures) -> Chart:
        total = sum(entry.count for entry in own.bins)
        points = []
        for entry in own.bins:
            reach = wilson_rate(entry.share * entry.count, entry.count, self.confidence)
            words = (
                f"{counted(entry.count, 'answer', 'answers')} at {figure('', entry.probability)}"
            )
            said = f"{words}: {figure('', entry.share)} right"
            points.append(
                Point(
                    entry.probability, entry.share, reach.low, reach.high,
                    entry.count / total, said,
                )
            )  # fmt: skip
        return chart(
            f"Reliability {title} calibration",
            ("what the model says", "how often it is right"),
            lines=[("as it should be", "quiet", [(0.0, 0.0), (1.0, 1.0)])],
            points=points,
            x_axis=_TENTHS,
            y_axis=_TENTHS,
        )

    def sentences(self) -> tuple[str, ...]:
        before = f"{100 * self.before.ece.value:.1f}"
        if self.after is None:
            return (f"calibration: error (ECE) {before} %; not calibrated",)
        after = f"{100 * self.after.ece.value:.1f}"
        kind = _METHODS.get(self.method or "", self.method)
        said = f"calibration: error (ECE) {before} % before, {after} % after {kind}"
        if not self.change:
            return (said,)
        return (f"{said}; {' and '.join(change_words(self.change))}",)

    @property
    def is_worse(self) -> bool:
        """Whether calibration clearly made one of the figures worse, and by more than a trifle."""
        return any(own.low > 0 and own.value >= _TRIFLE for own in (self.change or {}).values())

    def as_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"method": self.method}
        for name in _ESTIMATES:
            values[name] = {
                "before": _estimate_dict(getattr(self.before, name)),
                "after": None if self.after is None else _estimate_dict(getattr(self.after, name)),
            }
        values["bins"] = {
            "before": _bin_dicts(self.before),
            "after": None if self.after is None else _bin_dicts(self.after),
        }
        values["chance"] = {
            "before": self.before.chance,
            "after": None if self.after is None else self.after.chance,
        }
        values["change"] = self.change and {
            name: own.as_dict() for name, own in self.change.items()
        }
        return {**values, "num_rows": self.num_rows, "confidence": self.confidence}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        names = (*_ESTIMATES, "bins", "chance")
        change = saved.get("change")
        before, after = ({name: saved[name][side] for name in names} for side in _SIDES)
        return cls(
            saved["method"],
            CalibrationFigures.from_dict(before),
            None if after["ece"] is None else CalibrationFigures.from_dict(after),
            saved["num_rows"],
            saved["confidence"],
            change and {name: Estimate.from_dict(own) for name, own in change.items()},
        )


_SIDES = ("before", "after")
_METHODS = {
    "temperature": "temperature scaling",
    "vector": "vector scaling",
    "isotonic": "isotonic regression",
    "platt": "a scale and shift for each label",
}
_TITLES = {
    "ece": "calibration error (ECE)",
    "adaptive_ece": "with bins of equally many answers",
    "classwise_ece": "mean over the labels",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def _estimate_dict(own: Estimate | None) -> dict[str, float | None] | None:
    return None if own is None else own.as_dict()


def _bin_dicts(own: CalibrationFigures) -> list[dict[str, Any]]:
    return [{entry.name: getattr(each, entry.name) for entry in fields(Bin)} for each in own.bins]
