"""The sums over rows that calibration errors and losses are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["NUM_BINS", "answers_of", "bins_of", "blocks_of"]

NUM_BINS = 15
MOST_CELLS = 1_000_000
"""Of rows x labels; beyond it the error by label is left out, whose bootstrap takes minutes."""


def answers_of(
    targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The answers that are judged: the likeliest label's, or where a row may have several, all.

    Returns:
        Of each answer its probability, whether it is right (0 or 1), and its row.
    """
    return (_all_answers if targets.ndim == 2 else _likeliest)(targets, probabilities)


def blocks_of(
    targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> dict[str, sparse.csr_array]:
    """A figure's name → what each of n rows adds to its sums, sparse [n, sums].

    Args:
        targets: as the task encodes them.
        probabilities: float64 [n, labels].
    """
    said, right, rows = answers_of(targets, probabilities)
    num_rows, gaps = len(targets), right - said
    ranks = np.empty(len(said), dtype=np.int64)
    ranks[np.argsort(said, kind="stable")] = np.arange(len(said))
    even = ranks * NUM_BINS // len(said)
    brier, loss = _row_losses(targets, probabilities)
    blocks = {
        "ece": _gaps(bins_of(said), gaps, rows, num_rows, NUM_BINS),
        "adaptive_ece": _gaps(even, gaps, rows, num_rows, NUM_BINS),
        "brier": sparse.csr_array(brier[:, None]),
        "log_loss": sparse.csr_array(loss[:, None]),
    }
    if probabilities.size <= MOST_CELLS:
        blocks["classwise_ece"] = _classwise(targets, probabilities)
    return blocks


def _likeliest(
    targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Each row's answer: its probability, whether it is right, and its row."""
    right = (probabilities.argmax(axis=1) == targets).astype(np.float64)
    return probabilities.max(axis=1), right, np.arange(len(targets))


def _all_answers(
    targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Each row's each label: its probability, whether the row has it, and the row."""
    rows = np.repeat(np.arange(len(targets)), probabilities.shape[1])
    return probabilities.ravel(), (targets > 0.5).astype(np.float64).ravel(), rows


def bins_of(said: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of equal width of each probability; a bin holds its upper edge."""
    return np.clip(np.ceil(said * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)


def _gaps(
    placed: NDArray[np.int64],
    gaps: NDArray[np.float64],
    rows: NDArray[np.int64],
    num_rows: int,
    num_columns: int,
) -> sparse.csr_array:
    """What each row adds to its bins' sums of (right - probability), [rows, bins]."""
    entries = sparse.coo_array((gaps, (rows, placed)), shape=(num_rows, num_columns))
    return entries.tocsr()


def _classwise(targets: NDArray[Any], probabilities: NDArray[np.float64]) -> sparse.csr_array:
    num_rows, num_labels = probabilities.shape
    places = np.arange(num_labels)
    truth = targets > 0.5 if targets.ndim == 2 else targets[:, None] == places
    columns = bins_of(probabilities) + NUM_BINS * places
    rows = np.repeat(np.arange(num_rows), num_labels)
    gaps = truth.astype(np.float64) - probabilities
    return _gaps(columns.ravel(), gaps.ravel(), rows, num_rows, num_labels * NUM_BINS)


def _row_losses(
    targets: NDArray[Any], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each row's Brier score and log loss, float64 [n] each."""
    epsilon = np.finfo(np.float64).eps
    kept = np.clip(probabilities, epsilon, 1 - epsilon)
    if targets.ndim == 2:
        truth = targets > 0.5
        brier = np.square(probabilities - truth).mean(axis=1)
        loss = -np.where(truth, np.log(kept), np.log1p(-kept)).mean(axis=1)
    else:
        own = (np.arange(len(targets)), targets)
        brier = np.square(probabilities).sum(axis=1) - 2 * probabilities[own] + 1
        loss = -np.log(kept[own])
    return np.asarray(brier), np.asarray(loss)
