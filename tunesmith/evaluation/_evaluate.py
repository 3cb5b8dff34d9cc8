"""Figures with intervals, and what went wrong where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import redacted
from tunesmith.evaluation._estimates import estimates_of, label_metrics
from tunesmith.evaluation._measure import measure
from tunesmith.evaluation._notes import notes_of
from tunesmith.evaluation._outcomes import check_arrays, decide, is_multi_label
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Metrics, Target, Value

__all__ = [
    "Mistake",
    "confusion_matrix",
    "evaluate",
    "most_confident_mistakes",
    "named_target",
    "shown_inputs",
]


def evaluate(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Metrics:
    """Judge a model's probabilities against the truth.

    The figures equal scikit-learn's with `zero_division=0`. One label a row: macro averages are
    over the labels that occur in targets or answers, and the Brier score is the squared distance,
    halved for two labels. Several labels a row: macro averages are over all labels, accuracy is
    subset accuracy, log loss and Brier score are means over the labels, and the ranking of labels
    is judged too. ROC-AUC and PR-AUC (average precision) are one against rest; their macro
    averages are over the labels that some rows have and some have not. What the rows do not define
    is absent.

    A label's precision where nothing was given it, and its recall where no row has it, are absent
    too (None), though scikit-learn counts them as 0 in its macro averages, as is done here.

    Intervals: accuracy, top-k accuracy and each label's precision, recall and F1 are rates over
    rows and get Wilson's score interval, and each label's ROC-AUC gets Newcombe's, its kin: they
    stay honest where the bootstrap collapses to zero width (few rows, all right, all wrong). The
    other figures get the bootstrap's bias and standard error on their own scale; see
    `bootstrap_interval`. Where rows come in groups, groups are resampled, and rates count as many
    rows as would be as unsure if they were independent. One row, or one group, has no interval
    (`Estimate.has_interval`).

    Args:
        task: its labels, and for multi-label its thresholds.
        targets: as `task.encode` gives them, int64 [n] or float32 [n, labels].
        probabilities: as `task.probabilities` gives them, [n, labels].
        groups: int64 [n], rows of one group depend on each other; None: none do.
        confidence: the intervals' level.
        resamples: bootstrap samples.
        seed: of the bootstrap; the same seed gives the same intervals.

    Raises:
        DataError: there are no rows.
        TrainingError: probabilities are not finite.
    """
    found = measure(task, targets, probabilities, resamples=resamples, seed=seed, groups=groups)
    num_groups = None if groups is None else len(np.unique(groups))
    floor = 1.0 if num_groups is None else num_groups / len(targets)
    labels = label_metrics(task, found, confidence, floor)
    values = estimates_of(task, found, labels, confidence, floor)
    return Metrics(
        values=values,
        num_examples=len(targets),
        labels=labels,
        confidence=confidence,
        notes=notes_of(task, values, labels, len(targets), num_groups),
    )


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
            inputs=shown_inputs(dataset, int(place)),
            target=named_target(task, targets[place]),
            predicted=named_target(task, decided[place]),
            probability=float(certainty[place]),
        )
        for place in places
    )


def named_target(task: Task, encoded: Any) -> Target:
    """One encoded target as the label or labels it stands for."""
    if is_multi_label(task):
        return tuple(task.labels[place] for place in np.flatnonzero(encoded > 0.5))
    return task.labels[int(encoded)]


def shown_inputs(dataset: Dataset, place: int) -> tuple[str, ...]:
    """A row's inputs as a report shows them: it is handed on, and personal data stays behind."""
    return tuple(redacted(_shown(value)) for value in dataset[place].inputs)


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"({type(value).__name__}, not shown)"
