"""Columns that give the answer away, and columns that say nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding
from tunesmith.checks._subject import Subject

__all__ = ["check_column_leakage", "check_useless_columns"]

_SAME_VALUE = 0.99
_SAMPLE_ROWS = 200_000
_TELLS = 0.98
_FEWEST_ROWS = 20


def check_useless_columns(subject: Subject) -> Iterator[Finding]:
    """Finds columns with one value nearly everywhere, and numbers that only count the rows."""
    for name in subject.other_columns:
        codes, num_values = _codes(subject, name)
        if subject.num_rows < _FEWEST_ROWS or codes is None:
            continue
        present = codes[codes >= 0]
        commonest = np.bincount(present).max(initial=0) / max(len(codes), 1) if len(present) else 0
        if not len(present) or num_values == 1 or commonest >= _SAME_VALUE:
            what = "is empty" if not len(present) else "has one value nearly everywhere"
            yield Finding(
                check="constant-column",
                severity="note",
                message=f"column {name!r} {what}",
                fix="it is not read; leave it out where nobody needs it",
                column=name,
            )
        elif num_values == len(codes) and not _is_prose(subject, name):
            yield Finding(
                check="id-column",
                severity="note",
                message=f"column {name!r} has another value in each row, as an identifier has",
                fix="it is not read; do not name it as a text or a target",
                column=name,
            )


def check_column_leakage(subject: Subject) -> Iterator[Finding]:
    """Finds other columns from which the label follows."""
    if subject.target is None or subject.has_several_labels:
        return
    labels = subject.label_codes[:_SAMPLE_ROWS]
    for name in subject.other_columns:
        codes, _ = _codes(subject, name)
        if codes is None:
            continue
        known = (codes >= 0) & (labels >= 0)
        told, num_values = _told(codes[known], labels[known], len(subject.label_counts))
        majority = np.bincount(labels[known]).max(initial=0) / max(known.sum(), 1)
        enough = known.sum() >= _FEWEST_ROWS and num_values <= known.sum() / 4
        if enough and told >= _TELLS and told > (1 + majority) / 2:
            yield Finding(
                check="column-leakage",
                severity="note",
                message=f"the label follows from column {name!r} in {told:.0%} of the rows",
                fix="it is not read by the model; see that the text does not repeat what it says, "
                "and that a model is needed at all",
                column=name,
            )


def _told(
    codes: NDArray[np.int64], labels: NDArray[np.int32], num_labels: int
) -> tuple[float, int]:
    """The share of rows with the commonest label of their value, and the number of values."""
    if not len(codes):
        return 0.0, 0
    pairs, counts = np.unique(codes * num_labels + labels, return_counts=True)
    values, starts = np.unique(pairs // num_labels, return_index=True)
    return float(np.maximum.reduceat(counts, starts).sum() / len(codes)), len(values)


def _codes(subject: Subject, name: str) -> tuple[NDArray[np.int64] | None, int]:
    """A number for each value of a column's first rows, -1 for null, and how many there are."""
    column = subject.table.arrow.column(name).slice(0, _SAMPLE_ROWS)
    if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
        return (np.full(len(column), -1), 0) if pa.types.is_null(column.type) else (None, 0)
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    return np.asarray(pc.fill_null(coded.indices, -1), dtype=np.int64), len(coded.dictionary)


def _is_prose(subject: Subject, name: str) -> bool:
    """Whether a column's values are sentences, which differ from row to row as well."""
    column = subject.table.arrow.column(name).slice(0, 1000)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return bool(pa.types.is_floating(column.type))
    words = pc.mean(pc.count_substring(column, " ")).as_py()
    return words is not None and words >= 2
