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
from tunesmith.evaluation._ranking import coverage_errors, label_precisions, misordered_pairs
from tunesmith.tasks import Task

__all__ = [
    "Metric",
    "RowStatistics",
    "Sums",
    "check_arrays",
    "decide",
    "is_multi_label",
    "metrics_of",
    "row_statistics",
]

TOP_K = (3, 5)
"""Of the k likeliest labels one must be right; for tasks with more labels than that."""


@dataclass(frozen=True, slots=True)
class RowStatistics:
    """What n rows add to `Sums`.

    Attributes:
        columns: sparse [n, 3 x labels + rows]: whether a label is hit, whether the row has it,
            whether it is given, and then the row's own figures.
        names: what the row's own figures are called: "exact", "loss" …
    """

    columns: sparse.csr_array
    names: tuple[str, ...]

    def over(self, weights: NDArray[np.float64] | None = None) -> Sums:
        """Sums over samples of the rows.

        Args:
            weights: [n, R], how often each row is in each sample; None: all rows once (R = 1).
        """
        if weights is None:
            sums = np.asarray(self.columns.sum(axis=0), dtype=np.float64)[None, :]
            num_rows = np.array([float(self.columns.shape[0])])
        else:
            sums = (self.columns.T.tocsr() @ weights).T
            num_rows = weights.sum(axis=0)
        labels = (sums.shape[1] - len(self.names)) // 3
        hits, support, predicted = (sums[:, i * labels : (i + 1) * labels] for i in range(3))
        rows = dict(zip(self.names, sums[:, 3 * labels :].T, strict=True))
        return Sums(hits, support, predicted, rows, num_rows)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the rows of each of R samples.

    Attributes:
        hits: [R, labels], rows that have the label and are given it.
        support: [R, labels], rows that have the label.
        predicted: [R, labels], rows that are given the label.
        rows: name → [R], sums of the rows' own figures: "exact" (the answer is entirely right),
            "loss" (nats), "brier", and what else `row_statistics` gives.
        num_rows: [R], rows in each sample.
    """

    hits: NDArray[np.float64]
    support: NDArray[np.float64]
    predicted: NDArray[np.float64]
    rows: Mapping[str, NDArray[np.float64]]
    num_rows: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: list[Sums]) -> Sums:
        """The samples of several, one after the other."""
        hits, support, predicted = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("hits", "support", "predicted")
        )
        rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows}
        num_rows = np.concatenate([part.num_rows for part in parts])
        return cls(hits, support, predicted, rows, num_rows)


Metric: TypeAlias = Callable[[Sums], NDArray[np.float64]]
"""Sums over R samples → the figure of each, float64 [R]."""


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """above / below, and 0 where there is nothing below (scikit-learn's `zero_division=0`)."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _precision(sums: Sums) -> NDArray[np.float64]:
    return _ratio(sums.hits, sums.predicted)


def _recall(sums: Sums) -> NDArray[np.float64]:
    return _ratio(sums.hits, sums.support)


def _f1(sums: Sums) -> NDArray[np.float64]:
    return _ratio(2 * sums.hits, sums.support + sums.predicted)


def _mean_of_rows(name: str) -> Metric:
    return lambda sums: sums.rows[name] / sums.num_rows


def _macro_seen(of_labels: Metric) -> Metric:
    """The mean over the labels that occur in targets or answers."""

    def metric(sums: Sums) -> NDArray[np.float64]:
        seen = (sums.support + sums.predicted) > 0
        return _ratio(of_labels(sums).sum(axis=1), seen.sum(axis=1).astype(np.float64))

    return metric


def _macro(of_labels: Metric) -> Metric:
    return lambda sums: np.asarray(of_labels(sums).mean(axis=1))


def _weighted(of_labels: Metric) -> Metric:
    """The mean over labels, weighted by how many rows have each."""
    return lambda sums: _ratio(
        (of_labels(sums) * sums.support).sum(axis=1), sums.support.sum(axis=1)
    )


def _micro(of_labels: Metric) -> Metric:
    """Of all decisions on rows and labels together."""

    def metric(sums: Sums) -> NDArray[np.float64]:
        hits, support, predicted = (
            part.sum(axis=1) for part in (sums.hits, sums.support, sums.predicted)
        )
        return of_labels(Sums(hits, support, predicted, sums.rows, sums.num_rows))

    return metric


def _balanced_accuracy(sums: Sums) -> NDArray[np.float64]:
    present = (sums.support > 0).sum(axis=1).astype(np.float64)
    return _ratio(_recall(sums).sum(axis=1), present)


def _mcc(sums: Sums) -> NDArray[np.float64]:
    """Matthews' correlation for any number of labels (Gorodkin 2004); 0 where it is undefined."""
    n = sums.num_rows
    given = n**2 - (sums.predicted**2).sum(axis=1)
    true = n**2 - (sums.support**2).sum(axis=1)
    together = sums.rows["exact"] * n - (sums.predicted * sums.support).sum(axis=1)
    return _ratio(together, np.sqrt(np.maximum(given * true, 0.0)))


def _hamming_loss(sums: Sums) -> NDArray[np.float64]:
    wrong = sums.support + sums.predicted - 2 * sums.hits
    return np.asarray(wrong.mean(axis=1) / sums.num_rows)


def _averages(name: str, average: Callable[[Metric], Metric]) -> dict[str, Metric]:
    parts = {"f1": _f1, "precision": _precision, "recall": _recall}
    return {f"{name}_{part}": average(metric) for part, metric in parts.items()}


METRICS_OF_ONE: Mapping[str, Metric] = {
    "accuracy": _mean_of_rows("exact"),
    **_averages("macro", _macro_seen),
    **_averages("weighted", _weighted),
    **_averages("micro", _micro),
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
    **{f"top_{k}_accuracy": _mean_of_rows(f"top_{k}") for k in TOP_K},
    "log_loss": _mean_of_rows("loss"),
    "brier": _mean_of_rows("brier"),
}
"""The metrics of single-label tasks that follow from sums."""

METRICS_OF_MANY: Mapping[str, Metric] = {
    **_averages("macro", _macro),
    **_averages("micro", _micro),
    **_averages("weighted", _weighted),
    "accuracy": _mean_of_rows("exact"),
    "hamming_loss": _hamming_loss,
    "log_loss": _mean_of_rows("loss"),
    "brier": _mean_of_rows("brier"),
    "label_ranking_average_precision": _mean_of_rows("label_ranking"),
    "ranking_loss": _mean_of_rows("ranking_loss"),
    "coverage_error": _mean_of_rows("coverage"),
}
"""The metrics of multi-label tasks that follow from sums."""


def is_multi_label(task: Task) -> bool:
    """Whether each row may have any number of labels."""
    return task.objective == "binary-cross-entropy"


def metrics_of(task: Task) -> Mapping[str, Metric]:
    """The task's metrics that follow from sums, by name."""
    if is_multi_label(task):
        return METRICS_OF_MANY
    too_many = {f"top_{k}_accuracy" for k in TOP_K if k >= len(task.labels)}
    return {name: metric for name, metric in METRICS_OF_ONE.items() if name not in too_many}


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
) -> RowStatistics:
    """What each row adds to the metrics.

    Log loss is clipped as scikit-learn clips it. For multi-label tasks log loss and Brier score
    are means over the labels; for single-label tasks the Brier score is the squared distance
    (Brier 1950), halved for two labels, as scikit-learn has it.

    Raises:
        DataError, TrainingError: see `check_arrays`.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    check_arrays(task, targets, probabilities)
    decided = decide(task, probabilities)
    if is_multi_label(task):
        truth = targets > 0.5
        rows = _rows_of_many(truth, decided, probabilities)
    else:
        rows = _rows_of_one(targets, decided, probabilities)
        places = np.arange(len(task.labels))
        truth, decided = targets[:, None] == places, decided[:, None] == places
    blocks = [sparse.csr_array(block) for block in (truth & decided, truth, decided)]
    own = sparse.csr_array(np.column_stack(list(rows.values())))
    columns = sparse.hstack([*blocks, own], format="csr", dtype=np.float64)
    return RowStatistics(columns, tuple(rows))


def _rows_of_one(
    targets: NDArray[np.int64], decided: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    num_rows, size = probabilities.shape
    of_truth = probabilities[np.arange(num_rows), targets]
    squared = (probabilities**2).sum(axis=1) - 2 * of_truth + 1
    rows: dict[str, NDArray[Any]] = {
        "exact": targets == decided,
        "loss": -np.log(_clipped(of_truth)),
        "brier": squared / 2 if size == 2 else squared,
    }
    wanted = [k for k in TOP_K if k < size]
    if wanted:
        # Of equals the last ones come first, as scikit-learn has it.
        best = np.argsort(probabilities, axis=1, kind="stable")[:, ::-1][:, : max(wanted)]
        found = best == targets[:, None]
        rows |= {f"top_{k}": found[:, :k].any(axis=1) for k in wanted}
    return rows


def _rows_of_many(
    truth: NDArray[np.bool_], decided: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    clipped = _clipped(probabilities)
    return {
        "exact": (truth == decided).all(axis=1),
        "loss": -np.where(truth, np.log(clipped), np.log1p(-clipped)).mean(axis=1),
        "brier": ((probabilities - truth) ** 2).mean(axis=1),
        "label_ranking": label_precisions(truth, probabilities),
        "ranking_loss": misordered_pairs(truth, probabilities),
        "coverage": coverage_errors(truth, probabilities),
    }


def _clipped(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    epsilon = np.finfo(np.float64).eps
    return np.clip(probabilities, epsilon, 1 - epsilon)
