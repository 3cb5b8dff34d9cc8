"""What labels weigh, so that rare ones are learned too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["balanced_weights"]

_LARGEST = 10.0


def balanced_weights(
    targets: NDArray[np.float32] | NDArray[np.int64], num_labels: int
) -> NDArray[np.float32]:
    """Weights that make up for how often each label comes, float32 [labels].

    With one label a row n / (labels · count) (King & Zeng 2001, "Logistic Regression in Rare Events
    Data"), at most ten times as much for one label as for all
    rows on average; a handful of rows would else lead each step that they come in. The mean over
    the rows is 1, so that the rate that suits is as without. With several labels a row it is what a
    label weighs where a row has it: the number of rows without it for one with it, within 1 and 10.

    Args:
        targets: int64 [n], or float32 [n, labels] for several labels a row.
    """
    if targets.ndim == 2:
        counts = targets.sum(axis=0)
        ratios = (len(targets) - counts) / np.maximum(counts, 1)
        return np.asarray(np.clip(ratios, 1.0, _LARGEST), np.float32)
    counts = np.bincount(targets, minlength=num_labels)
    weights = np.minimum(len(targets) / (num_labels * np.maximum(counts, 1)), _LARGEST)
    return np.asarray(weights / weights[targets].mean(), np.float32)
