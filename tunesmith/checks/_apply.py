"""Decisions of a review put into effect: rows relabelled, kept and left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.checks._clean import Change, Cleaned
from tunesmith.checks._corrections import Correction, Corrections, find_places
from tunesmith.checks._subject import Subject
from tunesmith.data import Table, is_missing, read_targets, rows_text
from tunesmith.errors import DataError
from tunesmith.tasks import label_text
from tunesmith.types import Target

__all__ = ["Corrected", "apply_corrections"]

_STEP = "corrections"


@dataclass(frozen=True, slots=True)
class Corrected:
    """Rows after a review.

    Attributes:
        subject: the same rows, so that their numbers stay: with their new labels, and with
            nothing in those that were dropped, which `left_out` names.
        changes: each new label and each row dropped, as the log of a cleaning has them.
        corrections: what was applied.
    """

    subject: Subject
    changes: tuple[Change, ...]
    corrections: Corrections

    def cleaned(self) -> Cleaned:
        """The table without the rows that were dropped; `revert` takes it back."""
        rows = np.delete(np.arange(1, self.subject.num_rows + 1), sorted(self.subject.left_out))
        table = self.subject.table
        kept = replace(table, arrow=table.arrow.take(pa.array(rows - 1)))
        return Cleaned(kept, rows, self.changes)

    def facts(self) -> dict[str, Any]:
        """What the manifest keeps: the number of each action, and the file's sha256."""
        return {"sha256": self.corrections.sha256, **self.corrections.counts()}

    def summary(self) -> str:
        """One line for the user."""
        counts = self.corrections.counts()
        told = f"{counts['relabel']:,} relabelled, {counts['drop']:,} dropped, {counts['keep']:,}"
        return f"corrections of {self.corrections.path}: {told} kept as they are"


def apply_corrections(subject: Subject, corrections: Corrections) -> Corrected:
    """Puts what somebody decided into effect; the subject stays as it is.

    Raises:
        DataError: a decision fits no row, or is no label that a row can have.
    """
    decided = find_places(subject, corrections)
    dropped = frozenset(place for place, one in decided.items() if one.action == "drop")
    new = dict(_new_targets(subject, decided, corrections.path))
    table, multi_label = _corrected_table(subject, new, dropped)
    corrected = replace(
        subject,
        table=table,
        multi_label=multi_label,
        left_out=dropped,
        reviewed=frozenset(decided) - dropped,
    )
    changes = (*_relabelled(subject, table, dropped), *_dropped(subject.table, dropped))
    return Corrected(corrected, changes, corrections)


def _new_targets(
    subject: Subject, decided: Mapping[int, Correction], path: str
) -> Iterator[tuple[int, Target]]:
    relabelled = {place: one.after for place, one in decided.items() if one.action == "relabel"}
    if relabelled and subject.target is None:
        mend = "name its column with --target"
        raise DataError("relabels rows, and no label is read", where=path, mend=mend)
    several = subject.has_several_labels
    wrong = [place + 1 for place, one in relabelled.items() if isinstance(one, tuple) > several]
    if wrong:
        raise DataError(
            "gives several labels to rows that have one",
            where=f"{path}, {rows_text(wrong)}",
            mend="write one label, without brackets",
        )
    for place, after in relabelled.items():
        assert after is not None
        yield place, (after,) if several and isinstance(after, str) else after


def _corrected_table(
    subject: Subject, new: Mapping[int, Target], dropped: frozenset[int]
) -> tuple[Table, bool | None]:
    """The table with its new labels, and how labels are to be read from it.

    How labels are read is guessed from the whole column, so that a few of them may change what is
    made of the others. Where they would, the guess is written down; where that does not suffice,
    every label is written as it was read.
    """
    table = _without(subject.table, dropped) if dropped else subject.table
    if subject.target is None or not (new or dropped):
        return table, subject.multi_label
    wanted = [
        None if place in dropped else new.get(place, target)
        for place, target in enumerate(subject.targets)
    ]
    several = subject.has_several_labels
    cells = table.column(subject.target)
    written: dict[Target | None, object] = {}
    for target, cell in zip(subject.targets, subject.table.values(subject.target), strict=True):
        written.setdefault(target, cell)
    for place, target in new.items():
        if target not in written:
            written[target] = _as_cell(target, cells, subject.label_separator)
        cells[place] = written[target]
    edited = table.with_columns({subject.target: cells}) if new else table
    for multi_label in (subject.multi_label, several):
        if _reads_as(edited, subject, multi_label, wanted):
            return edited, multi_label
    whole = [list(one) if isinstance(one, tuple) else one for one in wanted]
    return table.with_columns({subject.target: whole}), several


def _reads_as(
    table: Table, subject: Subject, multi_label: bool | None, wanted: Sequence[Target | None]
) -> bool:
    assert subject.target is not None
    separator = subject.label_separator
    try:
        read = read_targets(
            table, subject.target, multi_label=multi_label, label_separator=separator
        )
    except DataError:
        return False
    return read.values == wanted


def _as_cell(target: Target, cells: Sequence[object], separator: str | None) -> object:
    """A label, or labels, in the manner of the others in the column."""
    if isinstance(target, str):
        return target
    present = [one for one in cells if one is not None]
    if any(isinstance(one, list) for one in present):
        return list(target)
    texts = [label_text(one) for one in present]
    if separator is None and any(text.lstrip().startswith("[") for text in texts):
        return json.dumps(target, ensure_ascii=False)
    return (separator or ("|" if any("|" in text for text in texts) else ";")).join(target)


def _without(table: Table, dropped: frozenset[int]) -> Table:
    """The table with nothing in some rows, of which there are as many as before."""
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[sorted(dropped)] = True
    arrow = table.arrow
    columns = [pc.if_else(pa.array(mask), pa.scalar(None, one.type), one) for one in arrow.columns]
    return replace(table, arrow=pa.table(columns, names=arrow.column_names))


def _relabelled(subject: Subject, table: Table, dropped: frozenset[int]) -> Iterator[Change]:
    if subject.target is None:
        return
    column = subject.target
    pairs = zip(subject.table.values(column), table.values(column), strict=True)
    for place, (before, after) in enumerate(pairs):
        is_new = before != after and not (is_missing(before) and is_missing(after))
        if is_new and place not in dropped:
            yield Change(place + 1, column, before, after, _STEP)


def _dropped(table: Table, dropped: frozenset[int]) -> Iterator[Change]:
    for place in sorted(dropped):
        before = {name: table.arrow.column(name)[place].as_py() for name in table.column_names}
        yield Change(place + 1, None, before, None, _STEP)
