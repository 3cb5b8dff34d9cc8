"""What the page shows of the data as a whole: its columns, and how long its texts are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._near import UNSPACED
from tunesmith.checks._subject import Subject

__all__ = ["SAMPLE_ROWS", "Column", "num_missing", "read_columns", "words_per_text"]

SAMPLE_ROWS = 200_000
_WORD = rf"{UNSPACED}|[^\s\x{{0e00}}-\x{{0eff}}\x{{1000}}-\x{{109f}}\x{{3040}}-\x{{9fff}}]+"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file.

    Attributes:
        role: "text" and "label" are read by the model, "" is not.
        kind: what it holds, in a word.
        num_missing: the rows that have nothing in it, or white space only.
    """

    name: str
    role: str
    kind: str
    num_missing: int


def read_columns(subject: Subject) -> list[Column]:
    """Every column: first what the model reads, then the others, the emptiest first."""
    roles = dict.fromkeys(subject.text, "text")
    if subject.target is not None:
        roles[subject.target] = "label"
    columns = [
        Column(name, roles.get(name, ""), _kind(subject, name), num_missing(subject, name))
        for name in subject.table.column_names
    ]
    order = ("text", "label", "")
    return sorted(columns, key=lambda one: (order.index(one.role), -one.num_missing))


def num_missing(subject: Subject, name: str) -> int:
    """How many rows have nothing in a column."""
    if name in subject.text:
        return len(subject.blank_places(name))
    if name == subject.target:
        return subject.targets.count(None)
    column = subject.table.arrow.column(name)
    if not _is_string(column.type):
        return int(column.null_count)

    def is_blank(piece: pa.Array) -> pa.Array:
        text = pc.fill_null(piece, "")
        return pc.or_(pc.equal(text, ""), pc.utf8_is_space(text))

    return len(subject.places_where(column, is_blank))


def words_per_text(subject: Subject, name: str) -> NDArray[np.int64]:
    """The words of each text that has any; in scripts without spaces each character is one.

    Returns:
        int64 [texts]: of all, or of `SAMPLE_ROWS` that are spread over a longer file.
    """
    step = -(-subject.num_rows // SAMPLE_ROWS) or 1
    counts = [
        pc.count_substring_regex(piece.take(np.arange(-start % step, len(piece), step)), _WORD)
        for start, piece in subject.pieces(subject.texts(name))
    ]
    told = [np.asarray(pc.fill_null(one, 0), dtype=np.int64) for one in counts]
    words = np.concatenate([np.zeros(0, dtype=np.int64), *told])
    return words[words > 0]


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind(subject: Subject, name: str) -> str:
    kind = subject.table.arrow.column(name).type
    tests = (
        (_is_string, "words"),
        (pa.types.is_boolean, "yes or no"),
        (pa.types.is_integer, "whole numbers"),
        (pa.types.is_floating, "numbers"),
        (pa.types.is_decimal, "numbers"),
        (pa.types.is_temporal, "times"),
        (pa.types.is_nested, "lists"),
        (pa.types.is_null, "nothing"),
    )
    return next((word for test, word in tests if test(kind)), "other values")
