"""White space around labels and column names, which nobody sees and programs tell apart."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._subject import Subject
from tunesmith.data import is_text, listed

__all__ = ["check_white_space"]


def check_white_space(subject: Subject) -> Iterator[Finding]:
    """Finds labels, and names of columns, with white space before or behind them."""
    if names := subject.table.stripped:
        yield Finding(
            check="header-white-space",
            severity="note",
            message="white space stands around "
            f"{counted(len(names), 'column name', 'column names')} in the file: {listed(names)}",
            fix="take it out in the file; here it is read past, and the copy that --fix writes has "
            "none",
        )
    if subject.target is None or not is_text(subject.table.arrow.column(subject.target).type):
        return
    places = subject.places_where(subject.texts(subject.target), _is_padded)
    if len(places):
        yield Finding(
            check="label-white-space",
            severity="note",
            message=f"{counted(len(places), 'label has', 'labels have')} white space around "
            f"{'it' if len(places) == 1 else 'them'} in column {subject.target!r}",
            fix="take it out; here it is read past, and other programs take it for another label",
            rows=row_numbers(places),
            column=subject.target,
            step="strip-labels",
        )


def _is_padded(piece: pa.Array) -> pa.Array:
    bare = pc.utf8_trim_whitespace(piece)
    return pc.and_(pc.not_equal(bare, piece), pc.not_equal(bare, ""))
