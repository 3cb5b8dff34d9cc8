"""Batches in which labels come equally often, for losses that compare rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST_BATCHES", "balanced_batches"]

FEWEST_BATCHES = 4
"""Of an epoch: the model is judged after it, which costs more than training on one or two."""


def balanced_batches(
    targets: NDArray[np.float32] | NDArray[np.int64],
    batch_size: int,
    rows_a_label: int,
    *,
    seed: int,
    epoch: int,
) -> list[NDArray[np.int64]]:
    """One epoch's batches: some rows each of as many labels as fit, in random order.

    Labels and the rows of each label are dealt like cards: all come once before one comes again. So
    labels come equally often, to within one, and where they have equally many rows so does every
    row. An epoch shows about as many rows as there are, so the work grows with their number, and
    not with that of their pairs. It has at least FEWEST_BATCHES. The order depends on
    the arguments alone, the number of batches not on seed and epoch.

    Args:
        targets: int64 [n], or float32 [n, labels] for several labels a row; rows without a label
            are then dealt as if that were one more.
        batch_size: rows a batch, at most.
        rows_a_label: of each label in a batch; more where there are so few labels that the batch
            would not be filled, fewer where a label has fewer.

    Returns:
        Arrays of different row indices, int64.
    """
    generator = np.random.default_rng([seed, epoch])
    rows = [_Deck(group, generator) for group in _groups(targets)]
    # At least two, where there are: rows of one label have nothing to be told from.
    num_labels = min(len(rows), batch_size, max(2, batch_size // rows_a_label))
    num_rows = batch_size // num_labels
    labels = _Deck(np.arange(len(rows)), generator)
    usual = num_labels * float(np.mean([min(num_rows, len(deck)) for deck in rows]))
    batches: list[NDArray[np.int64]] = []
    for _ in range(max(FEWEST_BATCHES, math.ceil(len(targets) / usual))):
        hands = [rows[label].deal(num_rows) for label in labels.deal(num_labels)]
        # With several labels a row may be dealt twice.
        batches.append(np.array(list(dict.fromkeys(row for hand in hands for row in hand))))
    return batches


class _Deck:
    """Cards that are all dealt before they are shuffled again."""

    def __init__(self, cards: NDArray[np.int64], generator: np.random.Generator) -> None:
        self._all = cards
        self._generator = generator
        self._left: list[int] = []

    def __len__(self) -> int:
        return len(self._all)

    def deal(self, count: int) -> list[int]:
        """`count` different cards, or all where there are fewer."""
        hand: list[int] = []
        while len(hand) < min(count, len(self._all)):
            if not self._left:
                self._left = self._generator.permutation(self._all).tolist()
            # Of a deck that was shuffled just now, some cards may be in the hand already.
            place = next(i for i in reversed(range(len(self._left))) if self._left[i] not in hand)
            hand.append(self._left.pop(place))
        return hand


def _groups(targets: NDArray[np.float32] | NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each label that has any, and those without a label."""
    if targets.ndim == 2:
        has = np.column_stack([targets > 0.5, targets.sum(axis=1) == 0])
        groups = [np.flatnonzero(column) for column in has.T]
        return [group for group in groups if len(group)]
    order = np.argsort(targets, kind="stable")
    starts = np.flatnonzero(np.diff(targets[order])) + 1
    return np.split(order, starts)
