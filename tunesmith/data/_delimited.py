"""Comma-, semicolon-, tab- and pipe-separated text.

RFC 4180 as the csv module reads it; that module, so that errors can name rows and lines.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TypeVar

import pyarrow as pa

from tunesmith.data._long import LongText
from tunesmith.data._pieces import TextColumns, lines_of, start_of
from tunesmith.data._recognise import (
    DELIMITER_NAMES,
    OddRow,
    is_new_header,
    odd_rows,
    other_delimiter,
    refuse_repeated_header,
    second_table,
)
from tunesmith.data._suggest import listed
from tunesmith.data._table import ArrowValues, Table, check_names, empty_file
from tunesmith.errors import DataError, Fault

__all__ = ["header_names", "parse_delimited", "parse_lines", "stripped_names"]

_Values = TypeVar("_Values", bound=Iterable[object])

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_ROWS = 200
_LARGEST_FIELD = 1 << 28
_LONGEST_HEADER = 1 << 22
_MOST_FAULTS = 5
_MOST_ODD_ROWS = 1000
_QUOTES_MEND = 'put the value in double quotes and write each quote inside it twice: "a ""b"" c"'


def parse_delimited(text: str | LongText, source: str, preferred: str = ",") -> Table:
    """The table that delimited text with a header line holds; its values are text or null.

    Args:
        text: the whole file.
        source: the file's name, for errors.
        preferred: the delimiter that the suffix speaks for. ".tsv" needs no guess where its first
            line holds a tab; for all others the likeliest of comma, semicolon, tab and pipe.

    Raises:
        DataError: no rows, faulty names, rows of differing length, a quote that is never closed.
    """
    start = start_of(text, _LONGEST_HEADER)
    if len(start) == _LONGEST_HEADER and "\n" not in start and "\r" not in start:
        raise _endless_line(source)
    if csv.field_size_limit() < _LARGEST_FIELD:
        csv.field_size_limit(_LARGEST_FIELD)
    delimiter = _sniff(text, preferred)
    notes = (
        []
        if delimiter == preferred
        else [f"columns are separated by {DELIMITER_NAMES[delimiter]}s"]
    )
    try:
        header, columns = _columns(text, delimiter, source, csv.QUOTE_MINIMAL)
    except DataError:
        # Tab-separated files are mostly written without quoting: a quote is then a character.
        if delimiter != "\t" or not _has_quotes(text):
            raise
        header, columns = _columns(text, delimiter, source, csv.QUOTE_NONE)
        notes.append("quotes are read as ordinary characters")
    if not header:
        raise empty_file(source)
    if not len(columns[0]):
        raise DataError(
            "there are no rows below the column names",
            where=source,
            mend=f"add rows below them; the first line was read as names: {listed(header)}",
        )
    names, kept, more = header_names(header, [ArrowValues(column) for column in columns], source)
    _check_header(names, kept, source)
    arrow = pa.table([values.arrow for values in kept], names=names)
    refuse_repeated_header(arrow, source)
    return Table(arrow, source, (*notes, *more), stripped=stripped_names(header, names))


def _endless_line(source: str) -> DataError:
    return DataError(
        f"the first line has more than {_LONGEST_HEADER:,} characters: it is no line of column "
        "names",
        where=f"{source}, line 1",
        mend="write one example a line, below a line of column names; line ends may be lost",
    )


def parse_lines(text: str | LongText, source: str) -> Table:
    """A text file: a tab-separated table, or one text a line where the first line holds no tab."""
    if "\t" in _first_line(text):
        return parse_delimited(text, source, "\t")
    lines = filter(None, (line.strip() for line in lines_of(text)))
    with closing(TextColumns(1)) as gathered:
        for number, line in enumerate(lines):
            if number or line.casefold() != "text":
                gathered.add([line])
        [column] = gathered.finish()
    if not len(column):
        raise empty_file(source)
    return Table(pa.table({"text": column}), source, ("read as one text a line, column 'text'",))


def header_names(
    header: Sequence[object], columns: Sequence[_Values], source: str
) -> tuple[list[str], list[_Values], list[str]]:
    """Column names without white space around them; nameless columns that say nothing are left out.

    A nameless column says nothing where it is empty or counts the rows (as pandas writes its
    index).

    Returns:
        The names, the columns kept, and notes for the user.

    Raises:
        DataError: a name is missing or taken twice.
    """
    names, kept, notes = [], [], []
    for place, (name, column) in enumerate(zip(header, columns, strict=True), start=1):
        stripped = str(name).strip()
        if not stripped and _says_nothing(column):
            notes.append(f"column {place} is left out: it has no name and only counts the rows")
            if all(value is None for value in column):
                notes[-1] = f"column {place} is left out: it has no name and is empty"
            continue
        if stripped != str(name):
            notes.append(f"white space around the column name {stripped!r} was removed")
        names.append(stripped)
        kept.append(column)
    check_names(names, source)
    return names, kept, notes


def stripped_names(header: Sequence[object], names: Sequence[str]) -> tuple[str, ...]:
    """Those of the columns' names that have white space around them in the header."""
    return tuple(
        str(one).strip() for one in header if one not in names and str(one).strip() in names
    )


def _says_nothing(column: Iterable[object]) -> bool:
    if all(value is None for value in column):
        return True
    return any(
        all(str(value) in (str(n), f"{n}.0") for n, value in enumerate(column, start=start))
        for start in (0, 1)
    )


def _has_quotes(text: str | LongText) -> bool:
    return '"' in text if isinstance(text, str) else text.has_quotes


def _first_line(text: str | LongText) -> str:
    """The first line that is not empty."""
    lines = (line.lstrip("\r\n") for line in lines_of(text, newline="\n"))
    return next(filter(None, lines), "")


def _sniff(text: str | LongText, preferred: str) -> str:
    """The delimiter under which most rows have as many fields as the header, and more than one."""
    sample = start_of(text, _SAMPLE_CHARACTERS)
    is_cut = len(start_of(text, _SAMPLE_CHARACTERS + 1)) > len(sample)
    if preferred == "\t" and "\t" in sample.lstrip("\r\n").partition("\n")[0]:
        return "\t"
    best, best_score = preferred, (0.0, 1)
    for delimiter in sorted(_DELIMITERS, key=lambda each: each != preferred):
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        rows = [row for row in islice(reader, _SAMPLE_ROWS) if row]
        if is_cut and len(rows) > 2:
            rows.pop()  # the sample's end may have cut it
        if not rows or len(rows[0]) == 1:
            continue
        share = sum(len(row) == len(rows[0]) for row in rows[1:]) / max(1, len(rows) - 1)
        if (share, len(rows[0])) > best_score:
            best, best_score = delimiter, (share, len(rows[0]))
        elif best_score[1] == 1:
            best, best_score = delimiter, (0.0, len(rows[0]))
    return best


def _columns(
    text: str | LongText, delimiter: str, source: str, quoting: int
) -> tuple[list[str], list[pa.ChunkedArray]]:
    """The header, and a column for each of its names; every row has the header's length."""
    numbered = _numbered(text, delimiter, source, quoting)
    _, header = next(numbered, (0, []))
    num_rows = 0
    ragged: list[OddRow] = []
    num_ragged = 0
    with closing(TextColumns(len(header))) as gathered:
        for line, row in numbered:
            if len(row) != len(header) and len(row) == 1 and not row[0].strip():
                continue
            num_rows += 1
            if len(row) != len(header):
                num_ragged += 1
                if num_ragged <= _MOST_ODD_ROWS:
                    ragged.append(OddRow(num_rows, line, row))
            elif not ragged:
                gathered.add(row)
        if ragged:
            known = odd_rows(ragged, num_ragged, num_rows, header, delimiter, source)
            raise known or _ragged(ragged, num_ragged, header, delimiter, source)
        return header, gathered.finish()


def _numbered(
    text: str | LongText, delimiter: str, source: str, quoting: int
) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the line that it begins on."""
    reader = csv.reader(
        lines_of(text),
        delimiter=delimiter,
        quoting=quoting,  # type: ignore[arg-type]
        strict=True,
    )
    num_rows, line = -1, 1
    header: list[str] = []
    after_blank = False
    try:
        for row in reader:
            if row:
                num_rows += 1
                header = header or row
                if after_blank and num_rows and is_new_header(row, header):
                    raise second_table(row, f"{source}, row {num_rows} (line {line})")
                yield line, row
            after_blank = not row
            line = reader.line_num + 1
    except csv.Error as error:
        what, mend = str(error), _QUOTES_MEND
        if "field larger" in what:
            what = f"a value begins here that is longer than {_LARGEST_FIELD:,} characters"
            mend = "write one example a line; a line end or a closing quote may be lost"
        elif "unexpected end" in what:
            what = "a quoted value begins here and is never closed"
        elif "expected after" in what:
            what = "text follows directly on a quoted value"
            other = other_delimiter(_line(text, reader.line_num), delimiter)
            if other:
                what = f"this row is separated by {other}s, those above by "
                what += f"{DELIMITER_NAMES[delimiter]}s"
                mend = f"separate all rows by {DELIMITER_NAMES[delimiter]}s"
        where = f"{source}, row {num_rows + 1} (line {line})" if num_rows >= 0 else source
        raise DataError(what, where=where, mend=mend) from error


def _line(text: str | LongText, number: int) -> str:
    """The line of this number, from 1."""
    return next(islice(lines_of(text), number - 1, None), "")


def _ragged(
    ragged: Sequence[OddRow], num_ragged: int, header: Sequence[str], delimiter: str, source: str
) -> DataError:
    names = f"{len(header)} ({listed(header, 5)})"
    faults = [
        Fault(
            f"{num} {'field' if num == 1 else 'fields'} found, {names} expected",
            f"{source}, row {odd.row} (line {odd.line})",
        )
        for odd in ragged[:_MOST_FAULTS]
        for num in [len(odd.fields)]
    ]
    mend = f"put values that hold a {DELIMITER_NAMES[delimiter]} or a line break in double quotes"
    if num_ragged > _MOST_FAULTS:
        mend = f"{num_ragged - _MOST_FAULTS:,} more rows are like these; {mend}"
    last = faults[-1]
    faults[-1] = Fault(last.what, last.where, mend)
    return DataError.of(faults)


def _check_header(names: Sequence[str], columns: Sequence[ArrowValues], source: str) -> None:
    """Refuses a first line that is plainly data: a sentence beside a value of its own column."""
    sentences = [name for name in names if len(name.split()) >= 4]
    repeated = (
        any(value == name for value in column)
        for name, column in zip(names, columns, strict=True)
        if name not in sentences
    )
    if sentences and any(repeated):
        raise DataError(
            "the first line looks like data, not like column names",
            where=source,
            mend="put a line with names above it, such as text,label with the file's delimiter",
        )
