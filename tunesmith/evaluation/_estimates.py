"""From figures and their samples to figures with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation._intervals import (
    Scale,
    area_interval,
    area_variance,
    between,
    bootstrap_interval,
    effective_share,
    mean_interval,
    rare_label_factor,
    rate_estimate,
    wider,
    wilson_f1,
    wilson_rate,
)
from tunesmith.evaluation._measure import AREAS, Measured
from tunesmith.evaluation._outcomes import Sums, is_multi_label
from tunesmith.tasks import Task
from tunesmith.types import Estimate, LabelMetrics

__all__ = ["estimates_of", "label_metrics"]

_RATES = frozenset({"accuracy", "top_3_accuracy", "top_5_accuracy"})
_RATES_OF_ONE = _RATES | {"micro_f1", "micro_precision", "micro_recall"}
"""With one label a row, micro averages are the rate of right rows."""

_MEANS = frozenset(
    {"brier", "coverage_error", "hamming_loss", "label_ranking_average_precision", "log_loss",
     "ranking_loss"}
)  # fmt: skip
"""Means over rows."""

_SCALES: Mapping[str, Scale] = {
    "brier": "loss",
    "coverage_error": "loss",
    "log_loss": "loss",
    "mcc": "correlation",
}
"""Figures that are no shares."""

_OF_LABELS = {
    "balanced_accuracy": "recall",
    "macro_f1": "f1",
    "macro_precision": "precision",
    "macro_recall": "recall",
}
"""Means over labels → the labels' figure."""


def estimates_of(
    task: Task,
    found: Measured,
    labels: Mapping[str, LabelMetrics],
    confidence: float,
    floor: float,
) -> dict[str, Estimate]:
    """The figures over all rows.

    Args:
        labels: what `label_metrics` gave.
        floor: the share that groups are of the rows; 1 where rows stand alone.
    """
    num_rows = float(found.total.num_rows[0])
    if is_one_unit(num_rows, floor):
        return {name: Estimate.alone(value) for name, value in found.values.items()}
    rates = _RATES if is_multi_label(task) else _RATES_OF_ONE
    values: dict[str, Estimate] = {}
    for name, value in found.values.items():
        samples = found.samples[name]
        if name in rates:
            values[name] = _rate(value, num_rows, samples, confidence, floor)
        elif name in AREAS:
            values[name] = _mean_area(name, found, labels, confidence)
        else:
            estimate = bootstrap_interval(
                value,
                samples,
                confidence,
                _SCALES.get(name, "share"),
                factor=_factor(name, found),
                correct_bias=name not in _MEANS,
            )
            values[name] = estimate or _collapsed(
                name, value, num_rows * floor, len(task.labels), found, confidence
            )
    return values


def label_metrics(
    task: Task, found: Measured, confidence: float, floor: float
) -> dict[str, LabelMetrics]:
    """Each label's figures; see `estimates_of`."""
    return {
        label: _label(found, place, confidence, floor) for place, label in enumerate(task.labels)
    }


def _label(found: Measured, place: int, confidence: float, floor: float) -> LabelMetrics:
    hits, support, predicted = _counts(found.total, place)
    own, having, given = (counts[:, 0] for counts in (hits, support, predicted))
    hit, has, gives = float(own[0]), float(having[0]), float(given[0])
    sampled = _counts(found.sums, place)
    precision = _ratio(sampled[0], sampled[2])[:, 0]
    recall = _ratio(sampled[0], sampled[1])[:, 0]
    either = sampled[1] + sampled[2] - sampled[0]
    share = _share(hit, has + gives - hit, _ratio(sampled[0], either)[:, 0], floor)
    figures = {
        "precision": _rate(hit / gives, gives, precision, confidence, floor) if gives else None,
        "recall": _rate(hit / has, has, recall, confidence, floor) if has else None,
        "f1": wilson_f1(hit, has, gives, confidence, share) if has + gives else None,
        "roc_auc": _roc_auc(found, place, has, confidence, floor),
        "pr_auc": _pr_auc(found, place, has, confidence, floor),
    }
    if is_one_unit(float(found.total.num_rows[0]), floor):
        figures = {name: own and Estimate.alone(own.value) for name, own in figures.items()}
    return LabelMetrics(**figures, support=int(has))


def is_one_unit(num_rows: float, floor: float) -> bool:
    """Whether there is one row, or one group of rows, which says nothing of how others differ."""
    return round(num_rows * floor) < 2


def _counts(sums: Sums, place: int) -> tuple[NDArray[np.float64], ...]:
    """A label's hits, support and predictions, [R, 1] each."""
    return tuple(part[:, place : place + 1] for part in (sums.hits, sums.support, sums.predicted))


def _rate(
    value: float, trials: float, samples: NDArray[np.float64], confidence: float, floor: float
) -> Estimate:
    """Wilson's interval, for as many rows as are independent."""
    trials *= _share(value * trials, trials, samples, floor)
    return rate_estimate(value * trials, trials, confidence)


def _share(hits: float, trials: float, samples: NDArray[np.float64], floor: float) -> float:
    if floor >= 1 or not trials:
        return 1.0
    rate = hits / trials
    return effective_share(rate * (1 - rate) / trials, samples, floor)


def _roc_auc(
    found: Measured, place: int, having: float, confidence: float, floor: float
) -> Estimate | None:
    area = float(found.areas[place, 0])
    if not np.isfinite(area):
        return None
    others = float(found.total.num_rows[0]) - having
    share = 1.0
    if floor < 1:
        variance = area_variance(area, having, others)
        share = effective_share(variance, found.area_samples[place, 0], floor)
        # Near 1 the score interval's variance is the larger one, and hides what groups add.
        exact, num_rows = (found.total.rows["exact"], found.total.num_rows)
        accuracy = found.samples["accuracy"]
        share = min(share, _share(float(exact[0]), float(num_rows[0]), accuracy, floor))
        # One row of each kind is the least that an area can be of.
        share = max(share, 1 / min(having, others))
    score = area_interval(area, share * having, share * others, confidence)
    samples = found.area_samples[place, 0]
    factor = rare_label_factor(samples[None, :], np.array([share * having]))
    return between(
        score,
        bootstrap_interval(area, samples, confidence, "share", factor=factor, correct_bias=False),
    )


def _pr_auc(
    found: Measured, place: int, having: float, confidence: float, floor: float
) -> Estimate | None:
    area = float(found.areas[place, 1])
    if not np.isfinite(area):
        return None
    samples = found.area_samples[place, 1]
    factor = rare_label_factor(samples[None, :], np.array([having]))
    estimate = bootstrap_interval(
        area, samples, confidence, "share", factor=factor, correct_bias=False
    )
    return estimate or rate_estimate(area * having * floor, having * floor, confidence)


def _mean_area(
    name: str, found: Measured, labels: Mapping[str, LabelMetrics], confidence: float
) -> Estimate:
    """A macro average of areas, by the bootstrap and by the labels' own intervals."""
    place = AREAS.index(name)
    known = np.isfinite(found.areas[:, place])
    own = [
        area
        for label in labels.values()
        if (area := label.roc_auc if place == 0 else label.pr_auc) is not None
    ]
    value, samples = found.values[name], found.samples[name]
    of_labels = found.area_samples[known, place]
    factor = rare_label_factor(of_labels, found.total.support[0][known])
    bootstrapped = bootstrap_interval(value, samples, confidence, "share", factor=factor)
    by_labels = mean_interval(value, samples, own, of_labels)
    # Labels' ROC-AUCs have much in common and their score intervals are wide; PR-AUCs, neither.
    return (between if place == 0 else wider)(by_labels, bootstrapped)


def _factor(name: str, found: Measured) -> float:
    figure = _OF_LABELS.get(name)
    if figure is None:
        return 1.0
    total, sums = found.total, found.sums
    if figure == "precision":
        return rare_label_factor(_ratio(sums.hits, sums.predicted).T, total.predicted[0])
    if figure == "recall":
        return rare_label_factor(_ratio(sums.hits, sums.support).T, total.support[0])
    f1 = _ratio(2 * sums.hits, sums.support + sums.predicted)
    return rare_label_factor(f1.T, (total.support + total.predicted)[0] / 2)


def _collapsed(
    name: str, value: float, num_rows: float, num_labels: int, found: Measured, confidence: float
) -> Estimate:
    """The interval of a figure that no sample changes: what so many rows leave open.

    Mostly every row is right then, or none is.
    """
    if name == "log_loss":  # has no upper end
        return Estimate.alone(value)
    if name == "mcc":
        accuracy = wilson_rate(found.values["accuracy"] * num_rows, num_rows, confidence)
        # Of a table with equal labels, all errors spread evenly.
        low = (num_labels * accuracy.low - 1) / (num_labels - 1)
        return Estimate(value, min(value, max(-1.0, low)), max(value, accuracy.high))
    if name in ("brier", "coverage_error"):
        return Estimate(value, value, value + wilson_rate(0.0, num_rows, confidence).high)
    return wilson_rate(min(1.0, max(0.0, value)) * num_rows, num_rows, confidence)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
