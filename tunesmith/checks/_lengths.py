"""Texts that are too short to say anything, or far longer than the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._missing import placeholder_places
from tunesmith.checks._subject import Subject

__all__ = ["check_lengths"]

_FEW_CHARACTERS = 3
_MANY_CHARACTERS = 10_000
_MANY_TIMES = 20.0


def check_lengths(subject: Subject) -> Iterator[Finding]:
    """Finds texts of one or two characters, and texts many times as long as is usual."""
    for name in subject.text:
        lengths = _num_characters(subject, name)
        short = np.flatnonzero((lengths > 0) & (lengths < _FEW_CHARACTERS))
        short = np.setdiff1d(short, placeholder_places(subject, name))
        present = lengths[lengths > 0]
        if len(short) and len(short) < len(present) / 2:
            yield Finding(
                check="short-texts",
                severity="note",
                message=f"in column {name!r}, {counted(len(short), 'text has', 'texts have')}"
                " one or two characters",
                fix="leave them out where they say nothing",
                rows=row_numbers(short),
                column=name,
                step="drop-short",
            )
        usual = float(np.median(present)) if len(present) else 0.0
        long = np.flatnonzero(lengths > max(_MANY_CHARACTERS, _MANY_TIMES * usual))
        if len(long):
            yield Finding(
                check="long-texts",
                severity="note",
                message=f"in column {name!r}, {counted(len(long), 'text is', 'texts are')}"
                " far longer than the usual "
                f"{usual:,.0f} characters: up to {lengths.max():,}",
                fix="see that they are one example each, not several run together; what a base "
                "model cannot take is cut at its end",
                rows=row_numbers(long),
                column=name,
            )


def _num_characters(subject: Subject, name: str) -> NDArray[np.int32]:
    """The characters of each text without white space around it; 0 where there is none."""
    lengths = np.empty(subject.num_rows, dtype=np.int32)
    for start, piece in subject.pieces(subject.texts(name)):
        own = pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(piece)), 0)
        lengths[start : start + len(piece)] = own
    return lengths
