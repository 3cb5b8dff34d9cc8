"""Values that are a slip of the hand away from one that is written far more often.

Only columns whose values repeat are looked at: labels, and columns such as a city or a product. The
distance is that of Damerau (1964), in which a letter that is wrong, missing, added, or has changed
places with the next one counts as one. What stands there by intent must not be taken for a slip, so
that much is let pass: see `_is_slip`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._masking import redacted
from tunesmith.checks._subject import Subject

__all__ = ["check_misspelt_values", "misspelt_values"]

_TIMES_AS_OFTEN = 10
_SHORTEST = 4
_MOST_SLIPS = 3
_SAMPLE_ROWS = 200_000
_MOST_VALUES = 5_000
_FEWEST_OF_A_VALUE = 4  # rows a value, on average; else the values of a column do not repeat
_LONGEST = 200
_WORDS = re.compile(r"[^\W_]+")
_FAR = 99


def check_misspelt_values(subject: Subject) -> Iterator[Finding]:
    """Finds labels, and values of other columns that repeat, that look like slips of the hand."""
    for name in subject.table.column_names:
        meant = {
            value: common
            for value, common in misspelt_values(_counts(subject, name)).items()
            if not _is_written_elsewhere(subject, name, _new_words(value, common))
        }
        if meant:
            yield _misspelt(subject, name, meant)


def _misspelt(subject: Subject, name: str, meant: Mapping[str, str]) -> Finding:
    places, values = _places(subject, name, meant)
    shown = ", ".join(f"{old!r} for {new!r}" for old, new in list(meant.items())[:5])
    what = "label" if name == subject.target else "value"
    return Finding(
        check="misspelt-values",
        severity="warning" if name == subject.target else "note",
        message=f"column {name!r} has "
        f"{counted(len(meant), f'{what} that looks', f'{what}s that look')} misspelt, in "
        f"{counted(len(places), 'row', 'rows')}: {shown}",
        fix="put them right where they are slips, and leave them where they are meant",
        rows=row_numbers(places),
        column=name,
        step="correct-misspelt-values",
        details=[
            {"row": place + 1, "value": redacted(value), "suggested": redacted(meant[value])}
            for place, value in zip(places.tolist(), values, strict=True)
        ],
    )


def misspelt_values(counts: Mapping[str, int]) -> dict[str, str]:
    """Value → the value that was meant, the commonest first.

    Args:
        counts: value → the number of its rows.
    """
    names = [value for value in counts if len(value) <= _LONGEST]
    most = max((counts[name] for name in names), default=0)
    common = [one for one in names if counts[one] >= _TIMES_AS_OFTEN and len(one) >= _SHORTEST]
    rare = [one for one in names if counts[one] * _TIMES_AS_OFTEN <= most]
    letters = _letters(common)
    how_often = np.array([counts[one] for one in common])
    meant = {}
    for value in sorted(rare, key=lambda one: (-counts[one], one)):
        # The letters in which two values differ are at most twice the slips, and quickly counted.
        apart = np.abs(letters - _letters([value])).sum(axis=1)
        near = (apart <= 2 * _MOST_SLIPS) & (how_often >= _TIMES_AS_OFTEN * counts[value])
        best = _nearest(value, [common[at] for at in np.flatnonzero(near).tolist()])
        if len(best) == 1:  # else nobody knows which one was meant
            meant[value] = best[0]
    return meant


def _nearest(value: str, others: Sequence[str]) -> list[str]:
    """The values of which this one may be a misspelling, with the fewest slips."""
    slips = {other: _slips(value, other) for other in others}
    near = {other: count for other, count in slips.items() if 0 < count <= _most_slips(other)}
    return [other for other, count in near.items() if count == min(near.values())]


def _most_slips(value: str) -> int:
    """How many slips a value, or a word of it, may have."""
    return 1 if len(value) < 8 else 2 if len(value) < 16 else _MOST_SLIPS


def _slips(value: str, common: str) -> int:
    """The number of slips between two values; 99 where one is not the other misspelt."""
    value, common = value.casefold(), common.casefold()
    ours, theirs = _WORDS.findall(value), _WORDS.findall(common)
    if len(ours) != len(theirs):  # a slip joined two words, or parted one
        return _distance(value, common)
    differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    if not all(_is_slip(a, b) for a, b in differing):
        return _FAR
    return sum(_distance(a, b) for a, b in differing)


def _is_slip(word: str, common: str) -> bool:
    """Whether a word may be another one misspelt, rather than another name.

    Short words are codes and abbreviations ("type A", "grade II"). Letters before a word change
    what it means ("paid", "unpaid").
    """
    if len(common) < _SHORTEST or word.endswith(common) or common.endswith(word):
        return False
    return _distance(word, common) <= _most_slips(common)


def _distance(a: str, b: str) -> int:
    """Slips from one string to another; a digit is never a slip for another one, nor too many."""
    before: list[int] = []
    last = _running(b)
    for i, x in enumerate(a, start=1):
        row = [last[0] + (_FAR if x.isdigit() else 1)]
        for j, y in enumerate(b, start=1):
            both = x.isdigit() and y.isdigit()
            cost = min(
                last[j - 1] + (0 if x == y else _FAR if both else 1),
                last[j] + (_FAR if x.isdigit() else 1),
                row[j - 1] + (_FAR if y.isdigit() else 1),
            )
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2] and not both:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return min(last[-1], _FAR)


def _running(text: str) -> list[int]:
    costs = [0]
    for letter in text:
        costs.append(costs[-1] + (_FAR if letter.isdigit() else 1))
    return costs


def _letters(values: Sequence[str]) -> NDArray[np.int16]:
    """How many there are of each letter, rare letters falling together; int16 [values, 64]."""
    counts = np.zeros((len(values), 64), dtype=np.int16)
    for row, value in zip(counts, values, strict=True):
        for letter in value.casefold():
            row[ord(letter) % 64] += 1
    return counts


def _new_words(value: str, common: str) -> list[str]:
    known = set(_WORDS.findall(common.casefold()))
    return [word for word in _WORDS.findall(value.casefold()) if word not in known]


def _is_written_elsewhere(subject: Subject, name: str, words: Sequence[str]) -> bool:
    """Whether other columns use one of these words more than once: then the word exists."""
    for other in subject.table.column_names:
        column = subject.table.arrow.column(other).slice(0, _SAMPLE_ROWS)
        if other == name or not _is_text(column.type):
            continue
        for word in words:
            pattern = rf"\b{re.escape(word)}\b"
            found = pc.match_substring_regex(column, pattern, ignore_case=True)
            if (pc.sum(found).as_py() or 0) > 1:
                return True
    return False


def _counts(subject: Subject, name: str) -> dict[str, int]:
    """Value → the number of its rows; empty where the values do not repeat."""
    if name == subject.target:
        return {} if subject.has_several_labels else dict(subject.label_counts)
    column = subject.table.arrow.column(name)
    if not _is_text(column.type):
        return {}
    sample = column.slice(0, _SAMPLE_ROWS)
    if pc.count_distinct(sample).as_py() > min(_MOST_VALUES, len(sample) / _FEWEST_OF_A_VALUE):
        return {}
    known = pc.value_counts(pc.drop_null(column))
    if len(known) > _MOST_VALUES:
        return {}
    values, counts = known.field("values").to_pylist(), known.field("counts").to_pylist()
    return {one: n for one, n in zip(values, counts, strict=True) if one.strip()}


def _places(
    subject: Subject, name: str, meant: Mapping[str, str]
) -> tuple[NDArray[np.int64], list[str]]:
    """Places of the rows with a misspelt value, and the value of each."""
    if name == subject.target:
        found = [(at, one) for at, one in enumerate(subject.targets) if one in meant]
        return np.array([at for at, _ in found], dtype=np.int64), [str(one) for _, one in found]
    column = subject.table.arrow.column(name)
    wanted = pa.array(list(meant), column.type)
    places = subject.places_where(column, lambda piece: pc.is_in(piece, wanted))
    return places, column.take(pa.array(places)).to_pylist()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
