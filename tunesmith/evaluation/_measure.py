"""Every figure of a model on its rows, and the same on bootstrap samples of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.evaluation._outcomes import (
    Metric,
    Sums,
    is_multi_label,
    metrics_of,
    row_statistics,
)
from tunesmith.evaluation._ranking import Curve
from tunesmith.tasks import Task

__all__ = ["AREAS", "Measured", "measure", "resampled_sums", "resampled_weights"]

CELLS_AT_ONCE = 2_000_000
"""Row weights held in memory at a time; 16 MB as float64."""

CURVE_CELLS = 2_000_000_000
FEWEST_SAMPLES = 200
"""The areas of many labels over many rows are taken on fewer samples: rows x labels x samples is
kept below CURVE_CELLS, for seconds rather than minutes; 200 still tell a standard error to 5 %."""

AREAS = ("macro_roc_auc", "macro_pr_auc")


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's figures.

    Attributes:
        values: name → figure on all rows; without those that the rows do not define.
        samples: name → the same on each sample, [R]; areas may have fewer samples than the rest.
        total: sums over all rows (R = 1).
        sums: sums over each sample.
        areas: [labels, 2], each label's ROC-AUC and PR-AUC; NaN where they are not defined.
        area_samples: [labels, 2, R'], the same on each sample; NaN where one does not define it.
    """

    values: dict[str, float]
    samples: dict[str, NDArray[np.float64]]
    total: Sums
    sums: Sums
    areas: NDArray[np.float64]
    area_samples: NDArray[np.float64]


def measure(
    task: Task,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    resamples: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
    with_areas: bool = True,
) -> Measured:
    """All figures, and what they come to on bootstrap samples.

    The same `seed`, rows and groups draw the same samples, whatever the model answers: two models
    can be compared sample by sample.

    Args:
        groups: int64 [n]; whole groups are drawn, as rows of one group depend on each other.
        with_areas: whether ROC-AUC and PR-AUC are wanted, which take longest.

    Raises:
        DataError, TrainingError: see `check_arrays`.
    """
    statistics = row_statistics(task, targets, probabilities)
    curves = _curves(task, targets, probabilities) if with_areas else []
    num_rows, num_curves = len(targets), sum(curve is not None for curve in curves)
    num_area_samples = min(
        resamples, max(FEWEST_SAMPLES, CURVE_CELLS // max(1, num_rows * num_curves))
    )
    parts: list[Sums] = []
    area_parts: list[NDArray[np.float64]] = []
    drawn = 0
    for weights in resampled_weights(num_rows, resamples, seed, groups):
        parts.append(statistics.over(weights))
        if drawn < num_area_samples:
            area_parts.append(_areas(curves, weights[:, : num_area_samples - drawn]))
        drawn += weights.shape[1]
    total, sums = statistics.over(), Sums.joined(parts)
    areas = _areas(curves, np.ones((num_rows, 1)))[:, :, 0]
    area_samples = np.concatenate(area_parts, axis=2)
    values, samples = _summed(metrics_of(task), total, sums)
    if not is_multi_label(task) and (total.support[0] > 0).sum() < 2:
        del values["mcc"], samples["mcc"]
    for name, place in zip(AREAS, range(2), strict=True):
        if num_curves:
            values[name] = float(_mean_known(areas[:, place, None])[0])
            samples[name] = _mean_known(area_samples[:, place])
    return Measured(values, samples, total, sums, areas, area_samples)


def resampled_weights(
    num_rows: int, resamples: int, seed: int, groups: NDArray[np.int64] | None = None
) -> Iterator[NDArray[np.float64]]:
    """How often each row is in each bootstrap sample (Efron, Annals of Statistics 7, 1979).

    Args:
        groups: int64 [n]; where given, as many groups as there are get drawn with replacement, and
            a row is in a sample as often as its group (Davison and Hinkley 1997, section 3.8).

    Yields:
        float64 [n, some], C order; together `resamples` columns.
    """
    generator = np.random.default_rng(seed)
    numbered = None if groups is None else np.unique(groups, return_inverse=True)[1]
    num_drawn = num_rows if numbered is None else int(numbered.max()) + 1
    step = max(1, CELLS_AT_ONCE // num_rows)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(num_drawn, size=(size, num_drawn))
        drawn += num_drawn * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_drawn).reshape(size, num_drawn)
        if numbered is not None:
            counts = counts[:, numbered]
        yield counts.T.astype(np.float64, order="C")


def resampled_sums(columns: sparse.csr_array, resamples: int, seed: int) -> NDArray[np.float64]:
    """Column sums of n rows over bootstrap samples of them, float64 [resamples, k]."""
    by_column = columns.T.tocsr()
    weights = resampled_weights(columns.shape[0], resamples, seed)
    return np.concatenate([(by_column @ one).T for one in weights])


def _summed(
    metrics: Any, total: Sums, sums: Sums
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    named: dict[str, Metric] = dict(metrics)
    values = {name: float(metric(total)[0]) for name, metric in named.items()}
    return values, {name: metric(sums) for name, metric in named.items()}


def _curves(
    task: Task, targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> list[Curve | None]:
    many = is_multi_label(task)
    return [
        Curve.of(
            targets[:, place] > 0.5 if many else targets == place,
            np.asarray(probabilities[:, place], dtype=np.float64),
        )
        for place in range(len(task.labels))
    ]


def _areas(curves: list[Curve | None], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[labels, 2, R], NaN where there is no curve."""
    found = np.full((len(curves), 2, weights.shape[1]), np.nan)
    for place, curve in enumerate(curves):
        if curve is not None:
            found[place] = curve.areas(weights)
    return found


def _mean_known(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over labels of those that are known, [labels, R] → [R]; NaN where none is."""
    known = np.isfinite(figures)
    counts = known.sum(axis=0)
    sums = np.where(known, figures, 0.0).sum(axis=0)
    return np.asarray(np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0))
