"""Personal data: counted and located, never printed whole."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._masking import KINDS, NAME, spans
from tunesmith.checks._names import Names, names_in_use
from tunesmith.checks._repeats import Made
from tunesmith.checks._subject import Subject
from tunesmith.data import is_text, read_times

__all__ = ["check_personal_data"]

_NAMES = sorted({NAME, *(kind.name for kind in KINDS)})
_IN_ALL = "[0-9@]"  # no kind does without a digit or this sign, and few texts have one


def check_personal_data(subject: Subject) -> Iterator[Finding]:
    """Finds e-mail addresses, phone numbers, cards, IBANs, national numbers and IP addresses.

    And names of persons, within `looking_for_names`. All columns of text are looked at, those as
    well that no model reads: a copy that is handed on has them. In the target they are only
    located: a label is mended by a person.
    """
    names = names_in_use()
    if names is not None and names.missing is not None:
        why, mend = names.missing
        yield Finding(
            check="personal-data",
            severity="note",
            message=f"names of persons were not looked for: {why}",
            fix=mend,
        )
    for name in _columns(subject):
        # Six numbers for each hit: row, kind, start, end, first and last character.
        hits = array("q")
        for place, text, named in _candidates(subject, name, names):
            for start, end, kind in spans(text, named):
                ends = (ord(text[start]), ord(text[end - 1]))
                hits.extend((place + 1, _NAMES.index(kind), start, end, *ends))
        if not hits:
            continue
        table = np.frombuffer(hits, dtype=np.int64).reshape(-1, 6)
        every = np.unique(table[:, 0])
        rows_of = [np.unique(table[table[:, 1] == kind, 0]) for kind in range(len(_NAMES))]
        counts = ", ".join(
            f"{kind} in {len(own):,}" for kind, own in zip(_NAMES, rows_of, strict=True) if len(own)
        )
        yield Finding(
            check="personal-data",
            severity="warning",
            message=f"in column {name!r}, {counted(len(every), 'text holds', 'texts hold')}"
            f" personal data (rows: {counts})",
            fix="put placeholders in its stead, unless you may keep it and the model needs it",
            rows=every,
            column=name,
            step=None if name == subject.target else "redact-personal-data",
            details=_shown(table),
        )


def _columns(subject: Subject) -> list[str]:
    """The columns of text; dates are none."""
    others = [name for name in subject.table.column_names if name not in subject.text]
    arrow = subject.table.arrow
    texts = [name for name in others if is_text(arrow.column(name).type)]
    return [*subject.text, *(name for name in texts if read_times(arrow.column(name)) is None)]


def _candidates(
    subject: Subject, name: str, names: Names | None
) -> Iterator[tuple[int, str, list[tuple[int, int]]]]:
    """Places of the rows in which a pattern or a name is found, the text, and where names stand."""
    for start, piece in subject.pieces(subject.texts(name)):
        holds = _matching(piece)
        if names is not None and names.missing is None:
            texts = [text or "" for text in piece.to_pylist()]
            for place, (text, named) in enumerate(zip(texts, names.find(texts), strict=True)):
                if named or holds[place]:
                    yield start + place, text, named
        else:
            for place in np.flatnonzero(holds).tolist():
                yield start + place, piece[place].as_py(), []


def _matching(piece: pa.Array) -> NDArray[np.bool_]:
    """In which texts a pattern is found; bool [n]."""
    likely = np.flatnonzero(pc.fill_null(pc.match_substring_regex(piece, _IN_ALL), False))
    texts = piece.take(pa.array(likely))
    holds = np.zeros(len(piece), dtype=bool)
    for kind in KINDS if len(likely) else ():
        holds[likely] |= np.asarray(pc.match_substring_regex(texts, kind.pattern.pattern))
    return holds


def _shown(hits: NDArray[np.int64]) -> Made[dict[str, Any]]:
    def make(number: int) -> dict[str, Any]:
        row, kind, start, end, first, last = hits[number].tolist()
        shown = _masked(chr(first) + chr(last))
        return {"row": row, "kind": _NAMES[kind], "start": start, "end": end, "shown": shown}

    return Made(len(hits), make)


def _masked(value: str) -> str:
    """A value that can be recognised by who knows it and read by nobody: "j…m", "4…2"."""
    return f"{value[0]}…{value[-1]}"
