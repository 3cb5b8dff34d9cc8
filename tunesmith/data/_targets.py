"""A column of answers as targets: one label a row, or a set of labels a row."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.data._suggest import listed
from tunesmith.data._table import ROWS_AT_ONCE, Table
from tunesmith.errors import DataError
from tunesmith.tasks import label_text
from tunesmith.types import Target

__all__ = ["CodedTargets", "Targets", "is_missing", "read_target_codes", "read_targets"]

_SEPARATORS = "|;"
_WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0+")


@dataclass(frozen=True)
class Targets:
    """A target column, read.

    Attributes:
        values: n targets; None where the value is missing.
        multi_label: whether each target is a set of labels.
        notes: what was decided without being told.
    """

    values: list[Target | None]
    multi_label: bool
    notes: tuple[str, ...] = ()


class CodedTargets(Sequence[Target | None]):
    """n targets as numbers of those that differ: a million rows are 4 MB; like a list of targets.

    Attributes:
        codes: int32 [n], each row's place in `distinct`; -1 where its target is missing.
        distinct: the targets that differ, in the order in which they first occur.
    """

    __slots__ = ("codes", "distinct")

    def __init__(self, codes: NDArray[np.int32], distinct: Sequence[Target]) -> None:
        self.codes = codes
        self.distinct = distinct

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> Target | None: ...

    @overload
    def __getitem__(self, index: slice) -> CodedTargets: ...

    def __getitem__(self, index: int | slice) -> Target | CodedTargets | None:
        if isinstance(index, slice):
            return CodedTargets(self.codes[index], self.distinct)
        code = self.codes[index]
        return None if code < 0 else self.distinct[code]

    def __iter__(self) -> Iterator[Target | None]:
        named = [*self.distinct, None]
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from (named[code] for code in self.codes[start : start + ROWS_AT_ONCE].tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(own == one for own, one in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self):,} targets, {len(self.distinct):,} of them different>"


def is_missing(value: object) -> bool:
    """Whether a value is null, not a number (NaN), empty or white space only."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, float) and math.isnan(value))


def read_targets(
    table: Table, name: str, *, multi_label: bool | None, label_separator: str | None
) -> Targets:
    """The targets of column `name`; see `build_dataset` for the arguments.

    Raises:
        DataError: the column holds something else than labels.
    """
    values = _shared(None if is_missing(value) else value for value in table.values(name))
    _refuse_objects(values, name, table)
    lists = _lists(values, from_text=multi_label is not False)
    notes: list[str] = []
    if lists is None and label_separator is None and multi_label is not False:
        label_separator = _find_separator(values, told=multi_label is True)
        if label_separator:
            notes.append(
                f"column {name!r} holds several labels a row, separated by {label_separator!r} "
                "(guessed; --set data.multi_label=false reads one)"
            )
        elif unused := _separators_in(values):
            notes.append(
                f"labels of column {name!r} hold {unused}, and are taken whole "
                "(--set data.multi_label=true splits them)"
            )
    if lists is None and label_separator:
        lists = [
            None if one is None else [*label_text(one).split(label_separator)] for one in values
        ]
    if lists is None and multi_label:
        lists = [None if one is None else [one] for one in values]
    if lists is None:
        return Targets(list(_labels(values)), False, tuple(notes))
    if multi_label is False:
        return Targets(list(_labels(_only(lists, name, table))), False, tuple(notes))
    return Targets(_label_sets(lists), True, tuple(notes))


def read_target_codes(
    table: Table, name: str, *, multi_label: bool | None, label_separator: str | None
) -> CodedTargets:
    """The values of `read_targets`, found by reading each value that differs once.

    Raises:
        DataError: as `read_targets` does.
    """
    column = table.values(name).arrow
    kind = column.type
    settings: dict[str, Any] = {"multi_label": multi_label, "label_separator": label_separator}
    if _is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        coded = column.dictionary_encode()
        values = coded.chunk(0).dictionary if coded.num_chunks else pa.array([], kind)
        try:
            read = read_targets(Table(pa.table({name: values}), table.source), name, **settings)
        except DataError:
            pass  # the rows that it names are not those of the file
        else:
            places = [pc.fill_null(chunk.indices, -1) for chunk in coded.chunks]
            codes, distinct = _coded(read.values)
            # -1, for null, is the last one.
            lookup = np.append(codes, np.int32(-1))
            parts = [lookup[np.asarray(own)] for own in places]
            return CodedTargets(np.concatenate([np.zeros(0, np.int32), *parts]), distinct)
    return CodedTargets(*_coded(read_targets(table, name, **settings).values))


def _coded(values: Sequence[Target | None]) -> tuple[NDArray[np.int32], list[Target]]:
    """Each value's place among those that differ, -1 for None; and these."""
    known: dict[Target, int] = {}
    codes = (-1 if one is None else known.setdefault(one, len(known)) for one in values)
    return np.fromiter(codes, np.int32, len(values)), list(known)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _shared(values: Iterable[object]) -> list[Any]:
    """The values, with equal texts as one object: a million labels are a million references."""
    known: dict[str, str] = {}
    return [known.setdefault(one, one) if isinstance(one, str) else one for one in values]


def _refuse_objects(values: Sequence[object], name: str, table: Table) -> None:
    rows = [row for row, value in enumerate(values, start=1) if isinstance(value, dict | bytes)]
    if rows:
        raise DataError(
            f"column {name!r} holds objects or bytes, not labels",
            where=table.where(rows),
            mend="name another column with --target",
        )


def _lists(values: Sequence[object], *, from_text: bool) -> list[list[object] | None] | None:
    """The values as lists, where all are lists or (if allowed) JSON arrays as text; else None."""
    lists: list[list[object] | None] = []
    for value in values:
        one = value
        if from_text and isinstance(value, str) and value.lstrip().startswith("["):
            try:
                one = json.loads(value)
            except ValueError:
                return None
        if one is not None and not isinstance(one, list):
            return None
        lists.append(one)
    return None if all(one is None for one in lists) else lists


def _find_separator(values: Sequence[object], *, told: bool) -> str | None:
    """The separator that explains the values, or None.

    It does where splitting leaves fewer labels than there were values, and most of those labels
    also stand alone. Where the user told that rows have several labels, any of these
    characters that occurs is taken, the commonest first.
    """
    present = [value for value in values if value is not None]
    if not all(isinstance(value, str) for value in present):
        return None
    distinct = {str(value).strip() for value in present}
    if told:
        counts = {each: sum(each in value for value in distinct) for each in _SEPARATORS}
        best = max(_SEPARATORS, key=lambda each: counts[each])
        return best if counts[best] else None
    for separator in _SEPARATORS:
        alone = {value for value in distinct if separator not in value}
        parts = {part.strip() for value in distinct for part in value.split(separator)}
        if "" not in parts and len(parts) < len(distinct) and 2 * len(alone) > len(parts):
            return separator
    return None


def _separators_in(values: Sequence[object]) -> str:
    """The separators that occur in labels, for a note."""
    distinct = {value for value in values if isinstance(value, str)}
    return " and ".join(repr(s) for s in _SEPARATORS if any(s in value for value in distinct))


def _labels(values: Sequence[object]) -> list[str | None]:
    """Values as labels, alike for every file format: text that only says "True" or "2.0" too."""
    labels = _shared(None if value is None else label_text(value) for value in values)
    distinct = {label for label in labels if label is not None}
    meant: dict[str | None, str | None] = {}
    if distinct and all(label.casefold() in ("true", "false") for label in distinct):
        meant = {label: label.casefold() for label in distinct}
    # What pandas writes for whole numbers when a value of their column is missing.
    elif distinct and all(_WHOLE_FLOAT.fullmatch(label) for label in distinct):
        meant = {label: str(int(label.partition(".")[0])) for label in distinct}
    return [meant.get(label, label) for label in labels] if meant else labels


def _label_sets(lists: Sequence[Sequence[object] | None]) -> list[Target | None]:
    flat = [one for values in lists for one in values or () if not is_missing(one)]
    labels = iter(_labels(flat))
    known: dict[Target, Target] = {}
    sets: list[Target | None] = []
    for values in lists:
        if values is None:
            sets.append(None)
        else:
            own = {next(labels) for one in values if not is_missing(one)}
            target = tuple(sorted(label for label in own if label is not None))
            sets.append(known.setdefault(target, target))
    return sets


def _only(lists: Sequence[Sequence[object] | None], name: str, table: Table) -> list[object]:
    """Each list's one label.

    Raises:
        DataError: a list holds none, or several.
    """
    rows = [row for row, one in enumerate(lists, start=1) if one is not None and len(one) != 1]
    if rows:
        example = lists[rows[0] - 1] or []
        raise DataError(
            f"column {name!r} holds {len(example)} labels ({listed(example, 5)}), not one",
            where=table.where(rows),
            mend="leave out --set data.multi_label=false",
        )
    return [None if one is None or is_missing(one[0]) else one[0] for one in lists]
