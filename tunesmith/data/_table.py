"""A table as it was read: columns with names, before it is known what they mean."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa

from tunesmith.data._suggest import did_you_mean, listed, rows_text
from tunesmith.errors import DataError, Fault
from tunesmith.tasks import label_text

__all__ = [
    "ROWS_AT_ONCE",
    "ArrowValues",
    "Part",
    "Table",
    "as_text",
    "check_names",
    "column_array",
    "empty_file",
    "missing_column",
    "table_of",
]

ROWS_AT_ONCE = 10_000
"""How many rows are Python objects at a time, where all of them would not fit into memory."""

_MOST_COLUMNS = 2000
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, eq=False)
class ArrowValues:
    """The n values of an Arrow column as Python ones, some thousand at a time; None for a null."""

    arrow: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.arrow)

    def __iter__(self) -> Iterator[object]:
        for piece in self.pieces():
            yield from piece.to_pylist()

    def pieces(self) -> Iterator[pa.Array]:
        """The column, cut into arrays of at most `ROWS_AT_ONCE` values."""
        for chunk in self.arrow.chunks:
            for start in range(0, len(chunk), ROWS_AT_ONCE):
                yield chunk.slice(start, ROWS_AT_ONCE)


class Part(NamedTuple):
    """A file whose rows stand in a table with those of other files.

    Attributes:
        name: what it is called among the others.
        num_rows: how many rows are its own.
        source: its path or address, as the user would name it.
    """

    name: str
    num_rows: int
    source: str


@dataclass(frozen=True, eq=False)
class Table:
    """Columns with names, held as Arrow.

    Attributes:
        arrow: the columns; a null is a value that is missing.
        source: where the table comes from, as the user named it.
        notes: what the user should be told of the reading: encoding, delimiter, sheet.
        parts: where the rows come from several files, these, in the order of their rows; empty
            where they come from one, or where rows were taken out since.
        stripped: names of columns that have white space around them in the file.
    """

    arrow: pa.Table
    source: str
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    stripped: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        """The number of rows; the header is not counted."""
        return int(self.arrow.num_rows)

    @property
    def column_names(self) -> list[str]:
        """The columns' names, in the order of the file."""
        return [str(name) for name in self.arrow.column_names]

    def column(self, name: str) -> list[object]:
        """The n values of one column; None where a value is missing.

        Raises:
            DataError: there is no such column.
        """
        return list(self.values(name))

    def values(self, name: str) -> ArrowValues:
        """The same values, of which few are in memory at a time.

        Raises:
            DataError: there is no such column.
        """
        if name not in self.column_names:
            raise DataError.of([missing_column(name, self)])
        return ArrowValues(self.arrow.column(name))

    def where(self, rows: Sequence[int]) -> str:
        """ "tickets.csv, rows 3, 17" for errors; of several files, those with the first rows too.

        Args:
            rows: numbered from 1.
        """
        files = self.files_of(rows)
        return f"{self.source}, {rows_text(rows)}{f' ({files})' if files else ''}"

    def files_of(self, rows: Sequence[int], most: int = 5) -> str:
        """ "a.csv rows 3, 17; b.csv row 1": where the first `most` rows lie in their own files.

        Empty where the table comes from one file. A file with one row is only named.
        """
        if not self.parts:
            return ""
        ends = list(accumulate(part.num_rows for part in self.parts))
        own: dict[int, list[int]] = {}
        for row in rows[:most]:
            place = bisect_left(ends, row)
            own.setdefault(place, []).append(row - ends[place] + self.parts[place].num_rows)
        files = [
            f"{self.parts[place].name} {rows_text(inside)}"
            if self.parts[place].num_rows > 1
            else self.parts[place].name
            for place, inside in own.items()
        ]
        return "; ".join(files) + (" …" if len(rows) > most else "")

    def with_columns(self, columns: Mapping[str, Sequence[object]]) -> Table:
        """The same table with columns replaced (where the name is taken) or added at the end."""
        arrow = self.arrow
        for name, values in columns.items():
            array = column_array(values)
            if name in arrow.column_names:
                arrow = arrow.set_column(arrow.column_names.index(name), name, array)
            else:
                arrow = arrow.append_column(name, array)
        return replace(self, arrow=arrow)


def missing_column(name: str, table: Table) -> Fault:
    """The fault of naming a column that `table` does not have."""
    names = table.column_names
    guess = did_you_mean(name, names)
    return Fault(
        f"column {name!r} does not exist",
        table.source,
        f"{guess + ' ' if guess else ''}the columns are {listed(names, 30)}",
    )


def empty_file(source: str) -> DataError:
    """The error for a file with nothing in it."""
    mend = "save the table again: a line of column names, and a row for each example below it"
    return DataError("the file is empty", where=source, mend=mend)


def check_names(names: Sequence[str], source: str) -> None:
    """Refuses columns that have no name, share one, or are too many to be columns.

    Raises:
        DataError: with every such fault.
    """
    if len(names) > _MOST_COLUMNS:
        raise DataError(
            f"{len(names):,} columns are more than the {_MOST_COLUMNS:,} that a table may have",
            where=source,
            mend="give one row an example, with the same names in every row",
        )
    faults = [
        Fault(f"column {place} has no name", source, "write its name into the first line")
        for place, name in enumerate(names, start=1)
        if not name
    ]
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        what = f"column names occur more than once: {listed(doubled)}"
        faults.append(Fault(what, source, "give each column a name of its own"))
    if faults:
        raise DataError.of(faults)


def table_of(
    names: Sequence[str],
    columns: Iterable[Sequence[object]],
    source: str,
    notes: Iterable[str] = (),
) -> Table:
    """A table of Python values."""
    arrays = [column_array(values) for values in columns]
    return Table(pa.table(arrays, names=list(names)), source, tuple(notes))


def column_array(values: Sequence[object]) -> pa.Array:
    """Python values as one Arrow column; values of mixed types become text.

    Where lists and single values are mixed, every value becomes a list of texts.
    """
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        pass
    if any(isinstance(value, list) for value in values):
        lists = [value if isinstance(value, list | None) else [value] for value in values]
        texts = [None if one is None else [as_text(value) for value in one] for one in lists]
        return pa.array(texts, pa.list_(pa.string()))
    return pa.array([as_text(value) for value in values], pa.string())


def as_text(value: object) -> str | None:
    """A value as text, as a label would be written; None where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = value if isinstance(value, str) else label_text(value)
    return _HALF_CHARACTER.sub("\ufffd", text)
