"""Texts that occur more than once, and what their labels say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._repeats import Made, differing, grouped
from tunesmith.checks._subject import Subject
from tunesmith.data import rows_text

__all__ = ["check_conflicting_labels", "check_exact_duplicates"]


def check_exact_duplicates(subject: Subject) -> Iterator[Finding]:
    """Finds rows whose text and label stand in an earlier row.

    Texts are equal that differ in case and white space alone.
    """
    places, _, votes, runs = _by_text_and_target(subject)
    kept = votes > 1
    rows, runs = places[kept] + 1, runs[kept]
    if not len(rows):
        return
    begins = np.flatnonzero(np.diff(runs, prepend=-1))
    order = np.argsort(rows[begins], kind="stable")
    rows, starts = _reordered(rows, np.append(begins, len(rows)), order)
    is_copy = np.ones(len(rows), dtype=bool)
    is_copy[starts[:-1]] = False
    copies = np.sort(rows[is_copy])
    yield Finding(
        check="exact-duplicates",
        severity="warning",
        message=f"{counted(len(copies), 'row repeats', 'rows repeat')}"
        " the text and the label of an earlier row, such as "
        f"{rows_text(grouped(rows, starts)[0], 4)}",
        fix="leave the copies out: they weigh double in training, and flatter the figures where "
        "one is trained on and the other judged",
        rows=copies,
        step="drop-duplicates",
        groups=grouped(rows, starts),
    )


def check_conflicting_labels(subject: Subject) -> Iterator[Finding]:
    """Finds equal texts that have different labels."""
    if subject.target is None:
        return
    places, starts = subject.equal_rows
    differ = differing(subject.targets.codes[places], starts)
    if not len(differ):
        return
    rows, starts = _reordered(places + 1, starts, differ)
    clusters = grouped(rows, starts)
    yield Finding(
        check="conflicting-labels",
        severity="warning",
        message=f"{counted(len(clusters), 'text has', 'texts have')}"
        " different labels in different rows, such as "
        f"{rows_text(clusters[0], 4)}",
        fix="decide which label is right; if several are, tell the labels apart more clearly, or "
        "allow several a row",
        rows=np.sort(rows),
        step="drop-conflicting",
        groups=clusters,
        details=_votes(subject, np.sort(rows)),
    )


def _votes(subject: Subject, rows: NDArray[np.int64]) -> Made[dict[str, Any]]:
    """Of each row its label, and how many rows of its text have that one."""
    places, codes, votes, _ = _by_text_and_target(subject)
    order = np.argsort(places, kind="stable")
    own = order[np.searchsorted(places[order], rows - 1)]
    codes, votes, distinct = codes[own], votes[own], subject.targets.distinct

    def make(number: int) -> dict[str, Any]:
        label, count = distinct[codes[number]], int(votes[number])
        return {"row": int(rows[number]), "label": label, "rows_with_this_label": count}

    return Made(len(rows), make)


def _by_text_and_target(
    subject: Subject,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """The rows whose text occurs more than once, in runs of equal text and target.

    Returns:
        [rows] each: place, target's code, the length of the row's run, and the run's number.
    """
    places, starts = subject.equal_rows
    text = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    codes = subject.targets.codes[places]
    order = np.lexsort((places, codes, text))
    places, codes, text = places[order], codes[order], text[order]
    begins = np.ones(len(places), dtype=bool)
    begins[1:] = (text[1:] != text[:-1]) | (codes[1:] != codes[:-1])
    runs = np.cumsum(begins) - 1
    return places, codes, np.bincount(runs)[runs] if len(runs) else runs, runs


def _reordered(
    flat: NDArray[np.int64], starts: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Some groups of `flat`, in another order; as flat groups again."""
    sizes = np.diff(starts)[order]
    ends = np.cumsum(sizes)
    begins = ends - sizes
    own = np.repeat(starts[order] - begins, sizes) + np.arange(int(sizes.sum()))
    return flat[own], np.append(begins, ends[-1:])
