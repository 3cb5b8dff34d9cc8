"""A column of texts, held in one block rather than as a million `str`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.data._table import ArrowValues, Table
from tunesmith.data._targets import is_missing
from tunesmith.errors import DataError
from tunesmith.tasks import label_text
from tunesmith.types import Texts

__all__ = ["read_texts", "text_column"]


def read_texts(table: Table, name: str) -> tuple[Texts, NDArray[np.bool_]]:
    """Column `name` as n texts, and which of them are missing, bool [n].

    What the text of a missing value is, is not said.

    Raises:
        DataError: there is no such column, or it holds something else than text and numbers.
    """
    column = text_column(table, name)
    missing = np.fromiter(map(is_missing, ArrowValues(column)), dtype=bool, count=len(column))
    return _in_one_block(column), missing


def text_column(table: Table, name: str) -> pa.ChunkedArray:
    """Column `name` as n strings in Arrow; what is no text is written as a label would be.

    Raises:
        DataError: there is no such column, or it holds something else than text and numbers.
    """
    values = table.values(name)
    kind = values.arrow.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        _refuse_objects(values, name, table)
        values = _as_text(values)
    return values.arrow


def _refuse_objects(values: ArrowValues, name: str, table: Table) -> None:
    kinds = {
        row: type(value).__name__
        for row, value in enumerate(values, start=1)
        if isinstance(value, list | dict | bytes)
    }
    if kinds:
        rows = list(kinds)
        raise DataError(
            f"column {name!r} holds {kinds[rows[0]]} values, not text",
            where=table.where(rows),
            mend="name another column with --text",
        )


def _as_text(values: ArrowValues) -> ArrowValues:
    """The values as a label would be written: 1.0 is "1"; missing ones are null."""
    pieces = [
        pa.array(
            [None if is_missing(value) else label_text(value) for value in piece.to_pylist()],
            pa.large_string(),
        )
        for piece in values.pieces()
    ]
    return ArrowValues(pa.chunked_array(pieces, pa.large_string()))


def _in_one_block(column: pa.ChunkedArray) -> Texts:
    """A column of strings; copied only where it is in several chunks."""
    wide = column.cast(pa.large_string())
    array = wide.chunk(0) if wide.num_chunks == 1 else wide.combine_chunks()
    _, ends, block = array.buffers()
    offsets = np.frombuffer(ends, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return Texts(np.frombuffer(block or b"", dtype=np.uint8), offsets[:-1], offsets[1:])
