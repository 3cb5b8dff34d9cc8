"""Rows that say nearly the same, in one file and across files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._near import connected, near_pairs
from tunesmith.checks._subject import Subject
from tunesmith.data import overlap, rows_text

__all__ = ["check_near_duplicates", "check_overlap", "near_links"]


def check_near_duplicates(subject: Subject) -> Iterator[Finding]:
    """Finds texts that differ in punctuation or in one word, or long ones that share most of it."""
    first = np.sort(subject.groups.rows[np.cumsum(subject.groups.sizes) - subject.groups.sizes])
    places = subject.dataset.rows[first] - 1  # one of each text; copies are another check's
    groups = [
        row_numbers(places[group]).tolist() for group in connected(near_links(subject, places))
    ]
    if not groups:
        return
    later = sorted(row for group in groups for row in group[1:])
    differing = [group for group in groups if len({subject.targets[row - 1] for row in group}) > 1]
    labels = (
        f"; in {len(differing):,} of the {len(groups):,} groups the labels differ"
        if differing and subject.target is not None
        else ""
    )
    yield Finding(
        check="near-duplicates",
        severity="note",
        message=f"{counted(len(later), 'row says', 'rows say')}"
        " nearly what another row says, such as "
        f"{rows_text(groups[0], 4)}{labels}",
        fix="look at a few: copies with small changes weigh double, and should not stand in "
        "training and test both",
        rows=np.array(later, dtype=np.int64),
        step="drop-near-duplicates",
        groups=groups,
    )


def near_links(subject: Subject, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """What links texts that say nearly the same; int64 [pairs, 2], which count within `places`.

    Args:
        places: int64 [n], the rows to look at.
    """
    return near_pairs(subject.pieces(subject.whole_texts.take(pa.array(places, pa.int64()))))


def check_overlap(subject: Subject) -> Iterator[Finding]:
    """Finds rows of the validation and test files that stand in the training file as well."""
    for part, other in subject.beside.items():
        exact = overlap(subject.dataset, other.dataset)
        rows = np.array([row for _, row in exact], dtype=np.int64)
        if len(rows):
            yield Finding(
                check=f"{part}-in-train",
                severity="warning",
                message=f"{len(rows):,} of {other.num_rows:,} {part} rows have a text that is in "
                f"{subject.source} too, such as row {exact[0][1]} (there row {exact[0][0]}): the "
                "figures will look better than they are",
                fix=f"leave them out of one of the two; the rows named are those of the {part} "
                "file",
                rows=rows,
                details=[{"row": row, "train_row": train} for train, row in exact],
            )
        near = _near_overlap(subject, other, known=set(rows.tolist()))
        if near:
            yield Finding(
                check=f"near-{part}-in-train",
                severity="note",
                message=f"{counted(len(near), f'more {part} row says', f'more {part} rows say')}"
                " nearly what a training row says, "
                f"such as row {near[0][1]} (there row {near[0][0]})",
                fix="look at a few; where they are copies with small changes, leave them out of "
                f"one of the two; the rows named are those of the {part} file",
                rows=np.array([row for _, row in near], dtype=np.int64),
                details=[{"row": row, "train_row": train} for train, row in near],
            )


def _near_overlap(subject: Subject, other: Subject, *, known: set[int]) -> list[tuple[int, int]]:
    """Training row and other row, for each other row that is near one and no copy of any."""
    column = pa.chunked_array(
        [
            *subject.whole_texts.cast(pa.large_string()).chunks,
            *other.whole_texts.cast(pa.large_string()).chunks,
        ]
    )
    found: list[tuple[int, int]] = []
    for group in connected(near_pairs(subject.pieces(column))):
        places = np.array(group, dtype=np.int64)
        own = places[places < subject.num_rows]
        others = _complete(places[places >= subject.num_rows] - subject.num_rows, other)
        if len(own):
            train = int(own[0]) + 1
            found += [(train, place + 1) for place in others if place + 1 not in known]
    return sorted(found, key=lambda pair: pair[1])


def _complete(places: NDArray[np.int64], subject: Subject) -> Sequence[int]:
    return [place for place in places.tolist() if subject.is_complete[place]]
