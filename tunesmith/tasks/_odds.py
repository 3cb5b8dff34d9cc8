"""Probabilities of labels as log-odds, in which what words add can be summed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_odds"]

_LEAST = 1e-12


def log_odds(
    probabilities: NDArray[np.float64], labels: Sequence[int], *, several: bool
) -> NDArray[np.float64]:
    """The log-odds of one label of each of n examples, float64 [n].

    Args:
        probabilities: float64 [n, labels].
        labels: n places in the labels.
        several: whether an example may have several labels.
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, list(labels)]
    if several:
        rest = 1.0 - own
    else:  # a sum of small numbers keeps the digits that a difference from 1 would lose
        others = probabilities.copy()
        others[rows, list(labels)] = 0.0
        rest = others.sum(axis=1)
    return np.asarray(np.log(np.maximum(own, _LEAST)) - np.log(np.maximum(rest, _LEAST)))
