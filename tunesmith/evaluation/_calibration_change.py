"""What calibration did to the figures on test rows, row by row: better, worse, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.evaluation._calibration_sums import blocks_of
from tunesmith.evaluation._headline import comparison
from tunesmith.evaluation._measure import resampled_sums
from tunesmith.types import Estimate

__all__ = ["calibration_change", "change_words"]

_FEWEST = 50
"""Rows, or groups of them, below which nothing is said: as many as calibration itself asks for."""

_NAMES = {"ece": "calibration error", "log_loss": "log loss"}


def calibration_change(
    targets: NDArray[Any],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Calibration error and log loss after, less those before; below 0 is better.

    Both are measured on the same resamples of the rows. A resample biases both errors upwards, and
    the smaller one more: the interval reaches as far as the basic and the percentile bootstrap's.

    Args:
        targets: n rows, as the task encodes them.
        before, after: probabilities, float64 [n, labels].
        groups: int64 [n], rows of one group depend on each other and are drawn together.

    Returns:
        Nothing where there are fewer than 50 rows, or groups.
    """
    units = np.arange(len(targets)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if units.max(initial=-1) + 1 < _FEWEST:
        return {}
    parts = [blocks_of(targets, one) for one in (before, after)]
    names = list(_NAMES)
    widths = [block.shape[1] for part in parts for block in (part[name] for name in names)]
    statistics = sparse.hstack([part[name] for part in parts for name in names], format="csr")
    total = np.asarray(statistics.sum(axis=0), dtype=np.float64)[None, :]
    ends = np.cumsum([0, *widths]).tolist()
    belongs = sparse.csr_array((np.ones(len(units)), (units, np.arange(len(units)))))
    samples = resampled_sums(sparse.csr_array(belongs @ statistics), resamples, seed)
    cells = {"ece": before.size if targets.ndim == 2 else len(targets), "log_loss": len(targets)}

    def change(sums: NDArray[np.float64], place: int) -> NDArray[np.float64]:
        sizes = []
        for at in (place, place + len(names)):
            own = sums[:, ends[at] : ends[at + 1]]
            # Gaps of bins count by their size, losses as they are.
            sizes.append((np.abs(own) if names[place] == "ece" else own).sum(axis=1))
        return np.asarray((sizes[1] - sizes[0]) / cells[names[place]])

    found = {}
    for place, name in enumerate(names):
        value, tail = float(change(total, place)[0]), (1 - confidence) / 2
        low, high = np.quantile(change(samples, place), [tail, 1 - tail])
        reach = (low, high, value, 2 * value - low, 2 * value - high)
        found[name] = Estimate(value, float(min(reach)), float(max(reach)))
    return found


def change_words(changes: Mapping[str, Estimate]) -> list[str]:
    """ "calibration error 4.9 points (3.1–6.0) better than before", or worse, or not better."""
    return [f"{_NAMES[name]} {comparison(name, own, 'before')}" for name, own in changes.items()]
