"""The order in which rows are trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["epoch_batches"]

_BATCHES_A_WINDOW = 200
_WINDOWS_AN_EPOCH = 4


def epoch_batches(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """One epoch's batches: every row once, neighbours in length together, all in random order.

    Rows are shuffled and cut into windows of at most 200 batches, at least four an epoch; each
    window is sorted by length and cut into batches; then the batches are shuffled. So hardly
    anything is spent on padding, and still no two epochs have the same batches: with one window
    they would, as sorting undoes the shuffle; and where labels go with lengths, as they often do,
    batches of few rows would hold one label each. The order depends on `seed` and `epoch` alone.

    Args:
        lengths: int64 [n], tokens of each row.
        batch_size: rows a batch; the last of a window may be smaller.

    Returns:
        Arrays of row indices, int64, at most `batch_size` long.
    """
    generator = np.random.default_rng([seed, epoch])
    shuffled = generator.permutation(len(lengths))
    num_batches = -(-len(lengths) // batch_size)
    window = batch_size * min(_BATCHES_A_WINDOW, max(1, num_batches // _WINDOWS_AN_EPOCH))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(shuffled), window):
        rows = shuffled[start : start + window]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]
