"""Which examples go through a model together; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["sorted_batches"]

_TOKENS_A_BATCH = 2048


def sorted_batches(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Batches of neighbours in length, longest first, each of at most a fixed number of tokens."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, _TOKENS_A_BATCH // max(int(lengths[order[start]]), 1))
        yield order[start : start + size]
        start += size
