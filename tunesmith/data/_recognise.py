"""What is wrong with delimited text whose rows differ: two tables, or two delimiters."""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data._suggest import listed
from tunesmith.errors import DataError

__all__ = [
    "DELIMITER_NAMES",
    "TARGET_NAMES",
    "OddRow",
    "is_new_header",
    "nul_bytes",
    "odd_rows",
    "other_delimiter",
    "refuse_repeated_header",
    "second_table",
]

DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
TARGET_NAMES = frozenset({
    "answer_label", "categories", "category", "class", "emotion", "emotions", "gold", "gold_label",
    "intent", "intents", "label", "labels", "sentiment", "tag", "tags", "target", "targets", "team",
    "topic", "topics",
})  # fmt: skip
"""What people call a column of labels, in lower case."""
_TEXT_NAMES = frozenset({
    "body", "comment", "content", "description", "document", "message", "question", "review",
    "sentence", "subject", "text", "ticket", "title", "tweet", "utterance",
})  # fmt: skip
_MOST_NAME_CHARACTERS = 40
_MOST_NAME_WORDS = 3
_SHARE = 0.9
_APART = "save each table in a file of its own"
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row with another number of fields than the header; numbered from 1, as lines are."""

    row: int
    line: int
    fields: Sequence[str]


def odd_rows(
    odd: Sequence[OddRow],
    num_odd: int,
    num_rows: int,
    header: Sequence[str],
    delimiter: str,
    source: str,
) -> DataError | None:
    """The error for rows that another delimiter or a second table explains; None for others.

    Args:
        odd: the first such rows, at least one.
        num_odd: how many there are.
        num_rows: how many rows there are in all.
    """
    first = odd[0]
    where = f"{source}, row {first.row} (line {first.line})"
    for other in DELIMITER_NAMES:
        fits = [row for row in odd if _split(row.fields, delimiter, other) == len(header)]
        if other != delimiter and fits and len(fits) >= _SHARE * len(odd):
            rows = "this row is" if num_odd == 1 else f"{num_odd:,} rows from here on are"
            what = f"{rows} separated by {DELIMITER_NAMES[other]}s, those above by "
            mend = f"separate all rows by {DELIMITER_NAMES[delimiter]}s; or save them in two files"
            return DataError(what + DELIMITER_NAMES[delimiter] + "s", where=where, mend=mend)
    is_rest = num_odd == num_rows - first.row + 1
    alike = all(len(row.fields) == len(first.fields) for row in odd)
    if num_odd > 1 and is_rest and alike and _could_be_header(first.fields):
        return second_table(first.fields, where)
    return None


def _split(fields: Sequence[str], delimiter: str, other: str) -> int:
    """How many fields a row has when it is split by another delimiter."""
    text = delimiter.join(fields)
    if len(fields) > 1 and text.count(other) == 0:
        return 1
    try:
        return len(next(csv.reader([text], delimiter=other), []))
    except csv.Error:
        return 0


def second_table(names: Sequence[str], where: str) -> DataError:
    """The error for a second line of column names."""
    what = f"a second table begins here, with the columns {listed(names, 10)}"
    return DataError(what, where=where, mend=_APART)


def is_new_header(fields: Sequence[str], header: Sequence[str]) -> bool:
    """Whether the first row after a blank line is the header of another table.

    It is where all its fields could be names, and one of them is a name of the first table, or two
    are what people call a column of texts and one of labels.
    """
    known = {name.strip().casefold() for name in header}
    own = {field.strip().casefold() for field in fields}
    is_usual = bool(own & _TEXT_NAMES and own & TARGET_NAMES)
    return len(header) > 1 and (bool(known & own) or is_usual) and _could_be_header(fields)


def _could_be_header(fields: Sequence[str]) -> bool:
    names = [field.strip() for field in fields]
    return len(set(names)) == len(names) > 1 and all(
        name
        and len(name) <= _MOST_NAME_CHARACTERS
        and len(name.split()) <= _MOST_NAME_WORDS
        and any(char.isalpha() for char in name)
        for name in names
    )


def refuse_repeated_header(arrow: pa.Table, source: str) -> None:
    """Refuses a row that holds the column names again, as files put one below another have it.

    Raises:
        DataError: with the number of the first such row.
    """
    names = [str(name) for name in arrow.column_names]
    if len(names) < 2:
        return
    # Few values equal their column's name: the others are only looked at in those rows.
    found = pc.indices_nonzero(pc.fill_null(pc.equal(arrow.column(0), names[0]), False))
    for place in found.to_pylist():
        if all(arrow.column(at)[place].as_py() == name for at, name in enumerate(names)):
            raise DataError(
                f"the column names stand here again: {listed(names, 10)}",
                where=f"{source}, row {place + 1}",
                mend="take this row out; if another table begins here, " + _APART,
            )


def other_delimiter(line: str, delimiter: str) -> str:
    """The name of the delimiter that stands behind a closing quote where another is in use."""
    behind = re.search(r'"([,;\t|])', line)
    return DELIMITER_NAMES[behind[1]] if behind and behind[1] != delimiter else ""


def _is_utf16(data: bytes, encoding: str) -> bool:
    """Whether bytes are text in UTF-16: lines, of characters that texts have, in whatever script.

    In Latin text each second byte is NUL. In others only ASCII's characters have one, such as
    commas and line ends; then the bytes without those are no text of another kind.
    """
    sample = data[: 1 << 16]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    kinds = {unicodedata.category(char) for char in set(text) - set("\t\r\n")}
    if "\n" not in text or not kinds.isdisjoint({"Cc", "Cn", "Co", "Cs"}):
        return False
    rest = sample.replace(b"\0", b"")
    return len(rest) < 0.6 * len(sample) or bool(_CONTROL.search(rest)) or not _is_utf8(rest)


def _is_utf8(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def nul_bytes(data: bytes, source: str) -> DataError | None:
    """The error for text that is sound but for NUL bytes, or is UTF-16; None for other content."""
    num_nul = data.count(b"\0")
    for encoding, name in (("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16 (big-endian)")):
        if _is_utf16(data, encoding):
            return DataError(
                f"looks like {name} without a byte order mark",
                where=source,
                mend="save it as UTF-8",
            )
    sample = data[: 1 << 20].replace(b"\0", b"")
    if num_nul > len(data) // 10 or _CONTROL.search(sample):
        return None
    line = data.count(b"\n", 0, data.index(b"\0")) + 1
    what = f"holds {'a NUL byte' if num_nul == 1 else f'{num_nul:,} NUL bytes'}, which no text does"
    mend = "export or copy it again; damaged disks and broken exports leave such bytes"
    return DataError(what, where=f"{source}, line {line}", mend=mend)
