"""The one way to walk a column."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tunesmith.data import forget_pages

__all__ = ["pieces_of"]

_ROWS_AT_ONCE = 100_000
_BYTES_KEPT = 128 << 20


def pieces_of(column: pa.ChunkedArray) -> Iterator[tuple[int, pa.Array]]:
    """A column cut into arrays of some thousand rows, each with its first row's place."""
    start = num_bytes = 0
    for chunk in column.chunks:
        for first in range(0, len(chunk), _ROWS_AT_ONCE):
            piece = chunk.slice(first, _ROWS_AT_ONCE)
            yield start, piece
            start += len(piece)
            num_bytes += piece.nbytes
            if num_bytes > _BYTES_KEPT:
                num_bytes = 0
                forget_pages()
