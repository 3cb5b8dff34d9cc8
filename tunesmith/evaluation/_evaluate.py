"""Figures with intervals, the comparison of two models, and what went wrong where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import redacted
from tunesmith.evaluation._intervals import (
    percentile_interval,
    resampled_sums,
    wilson_f1,
    wilson_rate,
)
from tunesmith.evaluation._outcomes import (
    Sums,
    check_arrays,
    decide,
    is_multi_label,
    metrics_of,
    row_statistics,
)
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Estimate, LabelMetrics, Metrics, Target, Value

__all__ = [
    "Mistake",
    "confusion_matrix",
    "evaluate",
    "most_confident_mistakes",
    "paired_difference",
]


def evaluate(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Metrics:
    """Judge a model's probabilities against the truth.

    The figures equal scikit-learn's with `zero_division=0`: macro-F1 averages over the labels that
    occur in targets or predictions (single-label) or over all labels (multi-label); accuracy is
    subset accuracy and log loss the mean binary log loss for multi-label tasks.

    Intervals: accuracy and each label's precision, recall and F1 are rates over rows and get
    Wilson's score interval, which stays honest where the bootstrap collapses to zero width (few
    rows, all right, all wrong). The other figures get the percentile bootstrap over rows (Efron
    and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13); where every row is right,
    or none is, they take accuracy's interval instead.

    Args:
        task: its labels, and for multi-label its thresholds.
        targets: as `task.encode` gives them, int64 [n] or float32 [n, labels].
        probabilities: as `task.probabilities` gives them, [n, labels].
        confidence: the intervals' level.
        resamples: bootstrap samples.
        seed: of the bootstrap; the same seed gives the same intervals.

    Raises:
        DataError: there are no rows.
        TrainingError: probabilities are not finite.
    """
    statistics = row_statistics(task, targets, probabilities)
    num_rows = len(targets)
    total = Sums.over(statistics)
    samples = Sums.of(resampled_sums(statistics, resamples, seed), num_rows)
    accuracy = wilson_rate(float(total.exact[0]), num_rows, confidence)
    values: dict[str, Estimate] = {}
    for name, metric in metrics_of(task).items():
        value = float(metric(total)[0])
        found = percentile_interval(value, metric(samples), confidence)
        values[name] = accuracy if name == "accuracy" else _unless_collapsed(name, found, accuracy)
    labels = {
        label: _label_metrics(total, place, confidence) for place, label in enumerate(task.labels)
    }
    return Metrics(values=values, num_examples=num_rows, labels=labels, confidence=confidence)


def _unless_collapsed(name: str, found: Estimate, accuracy: Estimate) -> Estimate:
    """`found`, or accuracy's interval where every row is right or none is."""
    if name == "log_loss" or found.low < found.high or accuracy.value not in (0.0, 1.0):
        return found
    if name == "hamming_loss":
        return Estimate(found.value, min(found.value, 1 - accuracy.high), 1 - accuracy.low)
    # Rows without any label may all be right, and an F1 over no positives still is 0.
    low, high = min(found.value, accuracy.low), max(found.value, accuracy.high)
    return Estimate(found.value, low, high)


def _label_metrics(total: Sums, place: int, confidence: float) -> LabelMetrics:
    hits, support, predicted = (
        float(sums[0, place]) for sums in (total.hits, total.support, total.predicted)
    )
    return LabelMetrics(
        precision=wilson_rate(hits, predicted, confidence),
        recall=wilson_rate(hits, support, confidence),
        f1=wilson_f1(hits, support, predicted, confidence),
        support=int(support),
    )


def paired_difference(
    task: Task,
    targets: NDArray[Any],
    probabilities_a: NDArray[np.float64],
    probabilities_b: NDArray[np.float64],
    *,
    metric: str,
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
        task_b: b's task, where it differs in its thresholds.

    Returns:
        a - b. For losses a negative figure means that a is better.
    """
    measure = metrics_of(task)[metric]
    num_rows = len(targets)
    values: list[float] = []
    samples: list[NDArray[np.float64]] = []
    for own_task, probabilities in ((task, probabilities_a), (task_b or task, probabilities_b)):
        statistics = row_statistics(own_task, targets, probabilities)
        total = Sums.over(statistics)
        values.append(float(measure(total)[0]))
        sums = resampled_sums(statistics, resamples, seed)
        samples.append(measure(Sums.of(sums, num_rows)))
    difference = values[0] - values[1]
    found = percentile_interval(difference, samples[0] - samples[1], confidence)
    if found.low < found.high or metric == "log_loss":
        return found
    open_end = wilson_rate(0, num_rows, confidence).high
    return Estimate(difference, max(-1.0, difference - open_end), min(1.0, difference + open_end))


def confusion_matrix(
    task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> NDArray[np.int64] | None:
    """Rows that truly have label i and were given label j, int64 [labels, labels] at [i, j].

    None for multi-label tasks, where a row has no single answer.
    """
    if is_multi_label(task):
        return None
    check_arrays(task, targets, probabilities)
    size = len(task.labels)
    cells = targets * size + decide(task, probabilities)
    return np.bincount(cells, minlength=size * size).reshape(size, size).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Mistake:
    """An example that the model gets wrong.

    Attributes:
        row: the example's row in its source, numbered from 1.
        inputs: its texts; other kinds of input are named, not shown.
        target: the right answer.
        predicted: the model's answer.
        probability: how sure the model was: of its answer, or for multi-label tasks of its most
            confident wrong decision on one label.
    """

    row: int
    inputs: tuple[str, ...]
    target: Target
    predicted: Target
    probability: float


def most_confident_mistakes(
    task: Task,
    dataset: Dataset,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    limit: int = 50,
) -> tuple[Mistake, ...]:
    """The wrong answers that the model was surest of, the surest first.

    Confident mistakes are where labels are wrong as often as the model is (Northcutt, Jiang and
    Chuang, JAIR 70, 2021), so they are the rows worth reading.

    Args:
        dataset: the n examples that `targets` and `probabilities` belong to.
        limit: how many at most.
    """
    check_arrays(task, targets, probabilities)
    decided = decide(task, probabilities)
    if is_multi_label(task):
        wrong_labels = decided != (targets > 0.5)
        sureness = np.where(decided, probabilities, 1 - probabilities)
        wrong = wrong_labels.any(axis=1)
        certainty = np.where(wrong_labels, sureness, 0.0).max(axis=1)
    else:
        wrong = decided != targets
        certainty = probabilities.max(axis=1)
    places = np.flatnonzero(wrong)
    places = places[np.argsort(-certainty[places], kind="stable")][:limit]
    return tuple(
        Mistake(
            row=int(dataset.rows[place]),
            # Reports are handed on: personal data stays behind.
            inputs=tuple(redacted(_shown(value)) for value in dataset[int(place)].inputs),
            target=_named(task, targets[place]),
            predicted=_named(task, decided[place]),
            probability=float(certainty[place]),
        )
        for place in places
    )


def _named(task: Task, encoded: Any) -> Target:
    """One encoded target as the label or labels it stands for."""
    if is_multi_label(task):
        return tuple(task.labels[place] for place in np.flatnonzero(encoded > 0.5))
    return task.labels[int(encoded)]


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"({type(value).__name__}, not shown)"
