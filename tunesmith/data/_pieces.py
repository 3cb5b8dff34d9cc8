"""Long files some thousand rows at a time: what is read becomes Arrow before the next rows are."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa

from tunesmith.data._long import LongText
from tunesmith.data._spill import ArrayStore
from tunesmith.data._table import ROWS_AT_ONCE

__all__ = ["TextColumns", "lines_of", "start_of"]

_CHARACTERS_AT_ONCE = 1 << 20


def start_of(text: str | LongText, num_characters: int) -> str:
    """The first characters of a text."""
    return text[:num_characters] if isinstance(text, str) else text.start(num_characters)


def lines_of(text: str | LongText, newline: Literal["", "\n"] = "") -> Iterator[str]:
    """The lines of a text with their ends, as `io.StringIO(text, newline)` gives them.

    That one copies the whole text, with four bytes a character.
    """
    if isinstance(text, LongText):
        yield from text.lines(newline)
        return
    start = 0
    while start < len(text):
        end = text.find("\n", start + _CHARACTERS_AT_ONCE) + 1 or len(text)
        yield from io.StringIO(text[start:end], newline=newline)
        start = end


class TextColumns:
    """Rows of texts that become Arrow columns, on the disk where they are long.

    An empty text is null. `close` gives back the disk's room where `finish` was not reached.
    """

    def __init__(self, num_columns: int) -> None:
        self._store = ArrayStore()
        self._places: list[list[int]] = [[] for _ in range(num_columns)]
        self._waiting: list[Sequence[str]] = []

    def add(self, row: Sequence[str]) -> None:
        """One more row, of as many texts as there are columns."""
        self._waiting.append(row)
        if len(self._waiting) == ROWS_AT_ONCE:
            self._convert()

    def finish(self) -> list[pa.ChunkedArray]:
        """The columns, each with a value for every row added."""
        self._convert()
        arrays = self._store.finish()
        return [pa.chunked_array([arrays[p] for p in own], pa.string()) for own in self._places]

    def close(self) -> None:
        self._store.close()

    def _convert(self) -> None:
        if not self._waiting:
            return
        for places, column in zip(self._places, zip(*self._waiting, strict=True), strict=True):
            array = pa.array([value or None for value in column], pa.string())
            # More than 2 GB do not fit into one Arrow string array.
            for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
                places.append(len(self._store))
                self._store.add(chunk)
        self._waiting = []
