"""A cleaned copy of a table, and the log from which the original can be had again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.checks._steps import STEPS, Edit, Step, fill_missing
from tunesmith.checks._subject import Subject
from tunesmith.data import Table
from tunesmith.errors import ConfigError

__all__ = ["Change", "Cleaned", "clean", "find_steps", "log_table", "revert"]

_MOST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the log.

    Attributes:
        row: the row's number in the file that was cleaned.
        column: None where the whole row was left out.
        before: the cell's value, or the whole row as a mapping.
        after: the cell's new value; None where it, or the row, is empty now.
        step: what did it; "corrections" is what somebody decided in a review.
    """

    row: int
    column: str | None
    before: object
    after: object
    step: str

    @property
    def why(self) -> str:
        return "somebody reviewed it" if self.step == "corrections" else STEPS[self.step].why


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned copy.

    Attributes:
        table: the copy.
        rows: int64, the number in the original of each row of the copy.
        changes: what was done, in the order in which it was done.
    """

    table: Table
    rows: NDArray[np.int64]
    changes: tuple[Change, ...]

    def counts(self) -> dict[str, int]:
        """Step → the number of its changes, for the manifest."""
        counts: dict[str, int] = {}
        for change in self.changes:
            counts[change.step] = counts.get(change.step, 0) + 1
        return counts


def find_steps(names: Iterable[str]) -> list[Step]:
    """The steps of these names in the order in which they are taken; "safe" and "all" are many.

    "fill-missing=TEXT" says what stands where there is no text.

    Raises:
        ConfigError: there is no such step.
    """
    wanted: set[str] = set()
    known = dict(STEPS)
    for name in names:
        if name.startswith("fill-missing="):
            filling = fill_missing(name.partition("=")[2])
            known["fill-missing"] = replace(STEPS["fill-missing"], edits=filling)
            name = "fill-missing"
        if name == "all":
            wanted |= set(STEPS) - {"fill-missing"}  # the other choice beside drop-missing
        elif name == "safe":
            wanted |= {step.name for step in STEPS.values() if step.is_safe}
        elif name in STEPS:
            wanted.add(name)
        else:
            raise ConfigError(
                f"there is no step {name!r}", mend=f"choose of safe, all, {', '.join(STEPS)}"
            )
    return [step for step in known.values() if step.name in wanted]


def clean(
    subject: Subject,
    steps: Sequence[Step],
    *,
    on_step: Callable[[Step, int], object] = lambda _step, _count: None,
) -> Cleaned:
    """Takes the steps one after the other; the subject stays as it is.

    A step may make work for one before it, such as a copy of a text once it is repaired; so they
    are taken again until nothing more changes.

    Args:
        on_step: hears of each step and the number of its changes.
    """
    table, rows = subject.table, np.arange(1, subject.num_rows + 1)
    if subject.left_out:
        rows = np.delete(rows, sorted(subject.left_out))
        table = replace(table, arrow=table.arrow.take(pa.array(rows - 1)))
        subject = replace(subject, table=table, left_out=frozenset(), reviewed=frozenset())
    changes: list[Change] = []
    for _ in range(_MOST_ROUNDS):
        before = len(changes)
        for step in steps:
            edits = list(step.edits(replace(subject, table=table)))
            changes += _logged(table, rows, edits, step)
            table, rows = _edited(table, rows, edits)
            if edits:
                on_step(step, len(edits))
        if len(changes) == before:
            break
    return Cleaned(table, rows, tuple(changes))


def revert(cleaned: Table, rows: NDArray[np.int64], changes: Sequence[Change]) -> Table:
    """The table as it was before it was cleaned: the changes taken back, the last one first."""
    names = cleaned.column_names
    columns = [cleaned.column(name) for name in names]
    known: dict[int, dict[str, Any]] = {
        row: dict(zip(names, values, strict=True))
        for row, values in zip(rows.tolist(), zip(*columns, strict=True), strict=True)
    }
    for change in reversed(changes):
        if change.column is None:
            assert isinstance(change.before, dict)
            known[change.row] = dict(change.before)
        else:
            known[change.row][change.column] = change.before
    values = [known[row] for row in sorted(known)]
    whole: dict[str, Sequence[object]] = {name: [one[name] for one in values] for name in names}
    return Table(pa.table({name: list(own) for name, own in whole.items()}), cleaned.source)


def log_table(changes: Sequence[Change], source: str) -> Table:
    """The changes as a table to read and to keep: row, column, before, after, why, step."""
    columns = {
        "row": pa.array([one.row for one in changes], pa.int64()),
        "column": pa.array([one.column for one in changes], pa.string()),
        "before": pa.array([_written(one.before) for one in changes], pa.string()),
        "after": pa.array([_written(one.after) for one in changes], pa.string()),
        "why": pa.array([one.why for one in changes], pa.string()),
        "step": pa.array([one.step for one in changes], pa.string()),
    }
    return Table(pa.table(columns), source)


def _written(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _logged(
    table: Table, rows: NDArray[np.int64], edits: Sequence[Edit], step: Step
) -> list[Change]:
    changes = []
    for edit in edits:
        before: object
        if edit.column is None:
            before = {
                name: table.arrow.column(name)[edit.place].as_py() for name in table.column_names
            }
        else:
            before = table.arrow.column(edit.column)[edit.place].as_py()
        row = int(rows[edit.place])
        changes.append(Change(row, edit.column, before, edit.after, step.name))
    return changes


def _edited(
    table: Table, rows: NDArray[np.int64], edits: Sequence[Edit]
) -> tuple[Table, NDArray[np.int64]]:
    columns: dict[str, list[object]] = {}
    keep = np.ones(len(rows), dtype=bool)
    for edit in edits:
        if edit.column is None:
            keep[edit.place] = False
        else:
            if edit.column not in columns:
                columns[edit.column] = table.column(edit.column)
            columns[edit.column][edit.place] = edit.after
    table = table.with_columns(columns)
    if keep.all():
        return table, rows
    return replace(table, arrow=table.arrow.filter(pa.array(keep)), parts=()), rows[keep]
