"""Rows without text or label, and words that stand for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._subject import Subject

__all__ = ["check_missing", "check_placeholders", "is_placeholder", "placeholder_places"]

_FEWEST_OF_A_LABEL = 10  # what so many rows have as their label may well be one
_PLACEHOLDERS = frozenset({
    "n/a", "n/a.", "n.a.", "#n/a", "#na", "<na>", "null", "(null)", "<null>", "nan", "\\n", "-",
    "--", "---", "–", "—", "?", "??", "???", ".", "..", "...", "…", "/", "tbd", "tba", "todo",
    "undefined", "not available", "not applicable", "(blank)", "(empty)", "#value!", "#ref!",
    "#name?", "#div/0!", "k.a.", "keine angabe", "sin datos", "暂无",
})  # fmt: skip
"""What people and programs write where there is nothing to write, in lower case.

No words that somebody may mean, such as "none", "unknown" or "test": a safe step empties these.
"""


def check_missing(subject: Subject) -> Iterator[Finding]:
    """Finds rows that lack a text or a label."""
    for name in subject.text:
        places = np.setdiff1d(subject.blank_places(name), sorted(subject.left_out))
        if len(places):
            yield _missing(places, name, "text", subject)
    if subject.target is not None:
        places = np.flatnonzero(subject.targets.codes < 0)
        places = np.setdiff1d(places, sorted(subject.left_out))
        if len(places):
            yield _missing(places, subject.target, "label", subject)


def _missing(places: NDArray[np.int64], name: str, what: str, subject: Subject) -> Finding:
    share = len(places) / subject.num_rows
    return Finding(
        check=f"missing-{what}",
        severity="error",
        message=f"{len(places):,} of {subject.num_rows:,} rows ({share:.1%}) have no {what} in "
        f"column {name!r}",
        fix=f"fill in the {what}, or leave such rows out",
        rows=row_numbers(places),
        column=name,
        step="drop-missing",
    )


def check_placeholders(subject: Subject) -> Iterator[Finding]:
    """Finds texts and labels such as "N/A", "null" or "-", which stand for nothing."""
    for name in (*subject.text, *([subject.target] if subject.target else [])):
        places = placeholder_places(subject, name)
        if not len(places):
            continue
        values = sorted({_value(subject, name, place) for place in places[:1000].tolist()})
        shown = ", ".join(repr(value) for value in values[:6])
        may_be_meant = name == subject.target and len(places) >= _FEWEST_OF_A_LABEL
        yield Finding(
            check="placeholder-values",
            severity="warning",
            message=f"column {name!r} says {shown} in {counted(len(places), 'row', 'rows')}, "
            "which stands for nothing",
            fix="if it is a label of its own, give it a name, such as 'other'; else leave it empty"
            if may_be_meant
            else "treat these as missing",
            rows=row_numbers(places),
            column=name,
            step=None if may_be_meant else "empty-placeholders",
            details=[] if may_be_meant else [{"value": value} for value in values],
        )


def is_placeholder(text: str) -> bool:
    """Whether a text stands for nothing; an empty one does."""
    folded = text.strip().lower()
    return not folded or folded in _PLACEHOLDERS


def placeholder_places(subject: Subject, name: str) -> NDArray[np.int64]:
    """Places of the rows that hold a placeholder in a text column or the target."""
    column = subject.table.arrow.column(name)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.zeros(0, dtype=np.int64)

    def says_nothing(piece: pa.Array) -> pa.Array:
        folded = pc.utf8_lower(pc.utf8_trim_whitespace(piece))
        return pc.is_in(folded, pa.array(sorted(_PLACEHOLDERS), folded.type))

    return subject.places_where(column, says_nothing)


def _value(subject: Subject, name: str, place: int) -> str:
    return str(subject.table.arrow.column(name)[place].as_py()).strip()
