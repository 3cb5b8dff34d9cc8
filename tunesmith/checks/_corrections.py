"""What somebody decided of rows in a review: read, written, and applied.

A row is known again by a digest of its texts and its label, wherever it stands in the file; rows
that are equal in all of these are told apart by their numbers. A decision on a row that is not
there any more, or reads otherwise now, is refused and never guessed at.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith import storage
from tunesmith.checks._subject import Subject
from tunesmith.data import row_digests, rows_text
from tunesmith.errors import DataError, Fault
from tunesmith.types import Target

__all__ = [
    "Action",
    "Correction",
    "Corrections",
    "digest_text",
    "find_places",
    "read_corrections",
    "row_codes",
    "write_corrections",
]

Action: TypeAlias = Literal["keep", "relabel", "drop"]

_COLUMNS = ("row", "digest", "action", "label_before", "label_after", "check", "when")
_DIGEST = re.compile(r"sha256:([0-9a-f]{16})")
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Correction:
    """One decision on one row.

    Attributes:
        row: the row's number in the file when it was decided, from 1.
        digest: "sha256:" and the first 16 hexadecimal digits of the digest of its texts and label.
        action: what to do with it.
        before: its label, or labels, when it was decided; None where it had none.
        after: its label from then on; None with "drop".
        check: what flagged it, such as "suspected-label-errors"; "" where nothing did.
        when: UTC, as ISO 8601 has it.
    """

    row: int
    digest: str
    action: Action
    before: Target | None
    after: Target | None
    check: str
    when: str


@dataclass(frozen=True, slots=True)
class Corrections:
    """A corrections file, read.

    Attributes:
        path: where it stands.
        decisions: one a row, in the order of the file.
        sha256: of the file's bytes, 64 hexadecimal digits.
    """

    path: str
    decisions: tuple[Correction, ...]
    sha256: str

    def counts(self) -> dict[str, int]:
        """Action → the number of rows decided so."""
        actions = [one.action for one in self.decisions]
        return {action: actions.count(action) for action in get_args(Action)}


def digest_text(code: int) -> str:
    """A row's code, as the file has it."""
    return f"sha256:{code:016x}"


def row_codes(subject: Subject) -> NDArray[np.uint64]:
    """Of each row the first eight bytes of the digest of its texts and label, as a number."""
    columns = [_strings(subject, name) for name in subject.text]
    digests = row_digests(zip(*columns, strict=True), subject.targets)
    codes = (int.from_bytes(digest[:8], "big") for digest in digests)
    return np.fromiter(codes, dtype=np.uint64, count=subject.num_rows)


def read_corrections(path: str | Path) -> Corrections:
    """Reads a corrections file.

    Raises:
        DataError: there is none, or it holds what no review wrote; all faults with their lines.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        mend = "tunesmith review DATA writes one"
        raise DataError("no such corrections file", where=str(path), mend=mend) from error
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise DataError(what, where=str(path)) from error
    lines = _lines(content, str(path))
    faults: list[Fault] = []
    decisions: list[Correction] = []
    for number, values in lines:
        found = _parsed(values)
        if isinstance(found, str):
            faults.append(Fault(found, f"{path}, line {number}", "put it right, or take it out"))
        else:
            decisions.append(found)
    if faults:
        more = len(faults) - _MOST_FAULTS
        last = [Fault(f"and {more:,} more such lines", str(path))] if more > 0 else []
        raise DataError.of([*faults[:_MOST_FAULTS], *last])
    return Corrections(str(path), tuple(decisions), hashlib.sha256(content).hexdigest())


def write_corrections(path: Path, decisions: Iterable[Correction]) -> str:
    """Writes decisions by the numbers of their rows; the file is replaced in one step.

    Returns:
        The sha256 of the file's bytes.

    Raises:
        OutputError: the disk is full or may not be written.
    """
    text = io.StringIO()
    # With "\n" told, csv before Python 3.13 leaves a value's "\r" without quotes.
    writer = csv.writer(_LineEnds(text), lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for one in sorted(decisions, key=lambda one: (one.row, one.digest)):
        labels = (_cell(one.before), _cell(one.after))
        writer.writerow([one.row, one.digest, one.action, *labels, one.check, one.when])
    content = text.getvalue().encode()
    storage.write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def find_places(
    subject: Subject, corrections: Corrections, codes: NDArray[np.uint64] | None = None
) -> dict[int, Correction]:
    """The place of the row that each decision is about, from 0, in the order of the places.

    Args:
        codes: the `row_codes` of the subject, where they are known.

    Raises:
        DataError: rows are not there, cannot be told apart, or are decided twice.
    """
    if not corrections.decisions:
        return {}
    codes = row_codes(subject) if codes is None else codes
    by_code: dict[int, list[Correction]] = {}
    for one in corrections.decisions:
        by_code.setdefault(_code_of(one), []).append(one)
    wanted = np.fromiter(by_code, dtype=np.uint64, count=len(by_code))
    places: dict[int, list[int]] = {}
    for place in np.flatnonzero(np.isin(codes, wanted)).tolist():
        places.setdefault(int(codes[place]), []).append(place)
    found: dict[int, Correction] = {}
    lost: list[int] = []
    unclear: list[int] = []
    twice: list[int] = []
    for code, decisions in by_code.items():
        there = places.get(code, [])
        if len({one.row for one in decisions}) < len(decisions):
            twice += [one.row for one in decisions]
        elif len(there) < len(decisions):
            lost += [one.row for one in decisions]
        elif (matched := _matched(there, decisions)) is None:
            unclear += [one.row for one in decisions]
        else:
            found |= matched
    _refuse(subject, corrections, lost, unclear, twice)
    return dict(sorted(found.items()))


def _matched(
    places: Sequence[int], decisions: Sequence[Correction]
) -> dict[int, Correction] | None:
    """Places of equal rows for the decisions on them; None where it is not clear which is which."""
    found = {one.row - 1: one for one in decisions if one.row - 1 in places}
    moved = [one for one in decisions if one.row - 1 not in places]
    free = [place for place in places if place not in found]
    alike = len({(one.action, one.after) for one in moved}) == 1
    if moved and not (alike and len(free) == len(moved)):
        return None
    return found | dict(zip(free, moved, strict=False))


def _refuse(
    subject: Subject,
    corrections: Corrections,
    lost: Sequence[int],
    unclear: Sequence[int],
    twice: Sequence[int],
) -> None:
    source, again = subject.source, "take these lines out and review the rows again"
    known = (
        (lost, f"{source} does not have these rows, or they read otherwise now",
         f"give the data that was reviewed, with the same text and label columns; or {again}"),
        (unclear, f"{source} has these rows several times, and they have moved", again),
        (twice, "these rows are decided twice", "leave one line a row"),
    )  # fmt: skip
    faults = [
        Fault(what, f"{corrections.path}, {rows_text(sorted(rows))}", mend)
        for rows, what, mend in known
        if rows
    ]
    if faults:
        raise DataError.of(faults)


def _strings(subject: Subject, name: str) -> Iterator[str]:
    for _, piece in subject.pieces(subject.texts(name)):
        for value in piece.to_pylist():
            yield "" if value is None else str(value)


def _code_of(one: Correction) -> int:
    return int(one.digest.removeprefix("sha256:"), 16)


def _lines(content: bytes, path: str) -> list[tuple[int, dict[str, str]]]:
    """The file's lines by column, each with its number; a spreadsheet's separators are taken."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mend = 'save it as "CSV UTF-8"'
        raise DataError("is not UTF-8", where=path, mend=mend) from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if absent := [name for name in _COLUMNS if name not in header]:
            what = f"is no corrections file: it lacks {', '.join(absent)}"
            mend = "give the file that tunesmith review wrote"
            raise DataError(what, where=path, mend=mend)
        rows = ((reader.line_num, values) for values in reader if values)
        return [(number, dict(zip(header, values, strict=False))) for number, values in rows]
    except csv.Error as error:
        raise DataError(f"cannot be read as csv: {error}", where=path) from error


def _parsed(values: dict[str, str]) -> Correction | str:
    """A line as a decision, or what is wrong with it."""
    if any(name not in values for name in _COLUMNS):
        return "the line has too few values"
    row, action = values["row"].strip(), values["action"].strip()
    if not (row.isascii() and row.isdigit() and 0 < len(row) < 16 and int(row)):
        return f"{row!r} is no number of a row"
    if not _DIGEST.fullmatch(values["digest"].strip()):
        return f"{values['digest'][:40]!r} is no digest of a row"
    if action not in get_args(Action):
        return f"{action[:40]!r} is not keep, relabel or drop"
    before, after = _target(values["label_before"]), _target(values["label_after"])
    if action == "relabel" and after is None:
        return "the row is relabelled and has no label after"
    return Correction(
        row=int(row),
        digest=values["digest"].strip(),
        action=action,  # type: ignore[arg-type]  # one of the three, as was just seen
        before=before,
        after=after,
        check=values["check"],
        when=values["when"],
    )


def _cell(target: Target | None) -> str:
    if target is None:
        return ""
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)


def _target(cell: str) -> Target | None:
    """A label, or (written as a JSON array) a set of labels; None where there is nothing."""
    if cell.startswith("["):
        try:
            values = json.loads(cell)
        except ValueError:
            return cell
        if isinstance(values, list) and all(isinstance(one, str) for one in values):
            return tuple(sorted(set(values)))
    return cell.strip() or None


class _LineEnds:
    """Ends the lines of a csv writer with "\\n"."""

    def __init__(self, text: io.StringIO) -> None:
        self._text = text

    def write(self, line: str) -> int:
        return self._text.write(line.removesuffix("\r\n") + "\n")
