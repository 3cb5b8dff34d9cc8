"""What each row adds to the metrics, and the metrics as functions of sums over rows.

Every metric here is a function of a few sums (hits, support and predictions for each label, rows
entirely right, loss), so a bootstrap needs only those sums for each resample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.errors import DataError, TrainingError
from tunesmith.tasks import Task

__all__ = [
    "METRICS_OF_MANY",
    "METRICS_OF_ONE",
    "Metric",
    "Sums",
    "check_arrays",
    "decide",
    "is_multi_label",
    "metrics_of",
    "row_statistics",
]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the rows of each of R samples.

    Attributes:
        hits: [R, labels], rows that have the label and are given it.
        support: [R, labels], rows that have the label.
        predicted: [R, labels], rows that are given the label.
        exact: [R], rows whose answer is entirely right.
        loss: [R], summed log loss in nats.
        num_rows: rows in each sample.
    """

    hits: NDArray[np.float64]
    support: NDArray[np.float64]
    predicted: NDArray[np.float64]
    exact: NDArray[np.float64]
    loss: NDArray[np.float64]
    num_rows: int

    @classmethod
    def of(cls, columns: NDArray[np.float64], num_rows: int) -> Sums:
        """From sums of `row_statistics` columns, float64 [R, 3 x labels + 2]."""
        labels = (columns.shape[1] - 2) // 3
        hits, support, predicted = (columns[:, i * labels : (i + 1) * labels] for i in range(3))
        return cls(hits, support, predicted, columns[:, -2], columns[:, -1], num_rows)

    @classmethod
    def over(cls, statistics: sparse.csr_array) -> Sums:
        """Over all rows once, as a sample of its own (R = 1)."""
        columns = np.asarray(statistics.sum(axis=0), dtype=np.float64)
        return cls.of(columns[None, :], statistics.shape[0])


Metric: TypeAlias = Callable[[Sums], NDArray[np.float64]]
"""Sums over R samples → the figure of each, float64 [R]."""


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """above / below, and 0 where there is nothing below (scikit-learn's `zero_division=0`)."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _f1(sums: Sums) -> NDArray[np.float64]:
    return _ratio(2 * sums.hits, sums.support + sums.predicted)


def _accuracy(sums: Sums) -> NDArray[np.float64]:
    return sums.exact / sums.num_rows


def _log_loss(sums: Sums) -> NDArray[np.float64]:
    return sums.loss / sums.num_rows


def _macro_f1_seen(sums: Sums) -> NDArray[np.float64]:
    seen = (sums.support + sums.predicted) > 0
    return _ratio(_f1(sums).sum(axis=1), seen.sum(axis=1).astype(np.float64))


def _macro_f1(sums: Sums) -> NDArray[np.float64]:
    return np.asarray(_f1(sums).mean(axis=1))


def _micro_f1(sums: Sums) -> NDArray[np.float64]:
    below = sums.support.sum(axis=1) + sums.predicted.sum(axis=1)
    return _ratio(2 * sums.hits.sum(axis=1), below)


def _weighted_f1(sums: Sums) -> NDArray[np.float64]:
    return np.asarray((_f1(sums) * sums.support).sum(axis=1) / sums.num_rows)


def _balanced_accuracy(sums: Sums) -> NDArray[np.float64]:
    present = (sums.support > 0).sum(axis=1).astype(np.float64)
    return _ratio(_ratio(sums.hits, sums.support).sum(axis=1), present)


def _hamming_loss(sums: Sums) -> NDArray[np.float64]:
    wrong = sums.support + sums.predicted - 2 * sums.hits
    return np.asarray(wrong.mean(axis=1) / sums.num_rows)


METRICS_OF_ONE: Mapping[str, Metric] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1_seen,
    "weighted_f1": _weighted_f1,
    "balanced_accuracy": _balanced_accuracy,
    "log_loss": _log_loss,
}
"""The metrics of single-label tasks."""

METRICS_OF_MANY: Mapping[str, Metric] = {
    "macro_f1": _macro_f1,
    "micro_f1": _micro_f1,
    "accuracy": _accuracy,
    "hamming_loss": _hamming_loss,
    "log_loss": _log_loss,
}
"""The metrics of multi-label tasks."""


def is_multi_label(task: Task) -> bool:
    """Whether each row may have any number of labels."""
    return task.objective == "binary-cross-entropy"


def metrics_of(task: Task) -> Mapping[str, Metric]:
    """The task's metrics by name."""
    return METRICS_OF_MANY if is_multi_label(task) else METRICS_OF_ONE


def decide(task: Task, probabilities: NDArray[np.float64]) -> NDArray[Any]:
    """The decision that `task.decode` takes, as `task.encode` would write it.

    Returns:
        int64 [n], the likeliest label (of equals the first); or bool [n, labels], the labels at or
        above their thresholds (0.5 where the task has none).
    """
    if is_multi_label(task):
        thresholds = getattr(task, "thresholds", ()) or (0.5,) * len(task.labels)
        return np.asarray(probabilities >= np.asarray(thresholds))
    return np.asarray(probabilities.argmax(axis=1))


def check_arrays(task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]) -> None:
    """Refuse what no figure can be computed from.

    Raises:
        DataError: there are no rows.
        TrainingError: the model answers with something that is not a number.
    """
    assert probabilities.shape == (len(targets), len(task.labels)), "wrong shape"
    assert targets.shape == (probabilities.shape if is_multi_label(task) else (len(targets),))
    if not len(targets):
        raise DataError("there are no rows to evaluate on")
    if not np.isfinite(probabilities).all():
        raise TrainingError(
            "the model's probabilities are not numbers (NaN)",
            mend="train with a lower learning rate",
        )


def row_statistics(
    task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> sparse.csr_array:
    """What each row adds to `Sums`, sparse [n, 3 x labels + 2].

    Log loss is clipped as scikit-learn clips it; for multi-label tasks it is the mean over labels
    of the binary log loss.

    Raises:
        DataError, TrainingError: see `check_arrays`.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    check_arrays(task, targets, probabilities)
    epsilon = np.finfo(np.float64).eps
    clipped = np.clip(probabilities, epsilon, 1 - epsilon)
    decided = decide(task, probabilities)
    if is_multi_label(task):
        truth = targets > 0.5
        exact = (truth == decided).all(axis=1)
        loss = -np.where(truth, np.log(clipped), np.log1p(-clipped)).mean(axis=1)
    else:
        places = np.arange(len(task.labels))
        exact = targets == decided
        loss = -np.log(clipped[np.arange(len(targets)), targets])
        truth, decided = targets[:, None] == places, decided[:, None] == places
    dense_ends = np.column_stack([exact, loss])
    blocks = [sparse.csr_array(block) for block in (truth & decided, truth, decided, dense_ends)]
    return sparse.hstack(blocks, format="csr", dtype=np.float64)
