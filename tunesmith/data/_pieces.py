"""Long files some thousand rows at a time: what is read becomes Arrow before the next rows are."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa

from tunesmith.data._table import ROWS_AT_ONCE

__all__ = ["TextColumns", "lines_of"]

_CHARACTERS_AT_ONCE = 1 << 20


def lines_of(text: str, newline: Literal["", "\n"] = "") -> Iterator[str]:
    """The lines of a text with their ends, as `io.StringIO(text, newline)` gives them.

    That one copies the whole text, with four bytes a character.
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start + _CHARACTERS_AT_ONCE) + 1 or len(text)
        yield from io.StringIO(text[start:end], newline=newline)
        start = end


class TextColumns:
    """Rows of texts that become Arrow columns; an empty text is null."""

    def __init__(self, num_columns: int) -> None:
        self._chunks: list[list[pa.Array]] = [[] for _ in range(num_columns)]
        self._waiting: list[Sequence[str]] = []

    def add(self, row: Sequence[str]) -> None:
        """One more row, of as many texts as there are columns."""
        self._waiting.append(row)
        if len(self._waiting) == ROWS_AT_ONCE:
            self._convert()

    def finish(self) -> list[pa.ChunkedArray]:
        """The columns, each with a value for every row added."""
        self._convert()
        return [pa.chunked_array(chunks, pa.string()) for chunks in self._chunks]

    def _convert(self) -> None:
        if not self._waiting:
            return
        for chunks, column in zip(self._chunks, zip(*self._waiting, strict=True), strict=True):
            array = pa.array([value or None for value in column], pa.string())
            # More than 2 GB do not fit into one Arrow string array.
            chunks += array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        self._waiting = []
