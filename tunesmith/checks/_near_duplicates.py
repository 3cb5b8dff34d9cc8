"""Rows that say nearly the same, in one file and across files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._near import connected, near_pairs
from tunesmith.checks._repeats import Made, differing, grouped, matching_rows
from tunesmith.checks._subject import Subject
from tunesmith.data import rows_text

__all__ = ["check_near_duplicates", "check_overlap"]


def check_near_duplicates(subject: Subject) -> Iterator[Finding]:
    """Finds texts that differ in punctuation or in one word, or long ones that share most of it."""
    places, starts = subject.near_rows
    if not len(places):
        return
    groups = grouped(row_numbers(places), starts)
    is_later = np.ones(len(places), dtype=bool)
    is_later[starts[:-1]] = False
    later = np.sort(row_numbers(places[is_later]))
    num_differing = len(differing(subject.targets.codes[places], starts))
    labels = (
        f"; in {num_differing:,} of the {len(groups):,} groups the labels differ"
        if num_differing
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
        rows=later,
        step="drop-near-duplicates",
        groups=groups,
    )


def check_overlap(subject: Subject) -> Iterator[Finding]:
    """Finds rows that stand in two of the training, validation and test files."""
    parts = [("train", subject), *subject.beside.items()]
    for place, (part, other) in enumerate(parts):
        for before, first in parts[:place]:
            yield from _shared(before, first, part, other)


def _shared(before: str, first: Subject, part: str, other: Subject) -> Iterator[Finding]:
    """Rows of `other` that are in `first`, exactly and nearly."""
    training = before == "train"
    firsts, rows = map(row_numbers, _exact_overlap(first, other))
    if len(rows):
        why = (
            "the figures will look better than they are"
            if training
            else "what is chosen on the one is judged on the other"
        )
        yield Finding(
            check=f"{part}-in-{before}",
            severity="warning",
            message=f"{len(rows):,} of {other.num_rows:,} {part} rows have a text that is in "
            f"{first.source} too, such as row {rows[0]} (there row {firsts[0]}): {why}",
            fix="leave them out of one of the two",
            rows=rows,
            part=part,
            details=_matches(rows, firsts, before),
        )
    near = _near_overlap(first, other, known=set(rows.tolist()))
    if near:
        yield Finding(
            check=f"near-{part}-in-{before}",
            severity="note",
            message=f"{counted(len(near), f'more {part} row says', f'more {part} rows say')}"
            f" nearly what a {'training' if training else before} row says, "
            f"such as row {near[0][1]} (there row {near[0][0]})",
            fix="look at a few; where they are copies with small changes, leave them out of "
            "one of the two",
            rows=np.array([row for _, row in near], dtype=np.int64),
            part=part,
            details=[{"row": row, f"{before}_row": own} for own, row in near],
        )


def _exact_overlap(subject: Subject, other: Subject) -> tuple[NDArray[np.int64], ...]:
    own, others = ([one.texts(name) for name in one.text] for one in (subject, other))
    return matching_rows(own, subject.is_complete, others, other.is_complete)


def _matches(
    rows: NDArray[np.int64], firsts: NDArray[np.int64], before: str
) -> Made[dict[str, int]]:
    return Made(len(rows), lambda i: {"row": int(rows[i]), f"{before}_row": int(firsts[i])})


def _near_overlap(subject: Subject, other: Subject, *, known: set[int]) -> list[tuple[int, int]]:
    """Training row and other row, for each other row that is near one and no copy of any."""
    others_pieces = (
        (subject.num_rows + start, piece) for start, piece in other.pieces(other.whole_texts)
    )
    every = chain(subject.pieces(subject.whole_texts), others_pieces)
    found: list[tuple[int, int]] = []
    for group in connected(near_pairs(every)):
        places = np.array(group, dtype=np.int64)
        own = places[places < subject.num_rows]
        others = _complete(places[places >= subject.num_rows] - subject.num_rows, other)
        if len(own):
            train = int(own[0]) + 1
            found += [(train, place + 1) for place in others if place + 1 not in known]
    return sorted(found, key=lambda pair: pair[1])


def _complete(places: NDArray[np.int64], subject: Subject) -> Sequence[int]:
    return [place for place in places.tolist() if subject.is_complete[place]]
