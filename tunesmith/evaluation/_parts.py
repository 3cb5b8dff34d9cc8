"""Test rows taken apart: by the values of a column, whatever it holds, or by bins of a number."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.checks import redacted

__all__ = ["Parts", "bins_of", "parts_of"]

EMPTY = "(empty)"
_MOST_CATEGORIES = 12
_BINS = 4
_MOST_DISTINCT_NUMBERS = 8  # so few numbers are categories: grades, numbers of stars
_MOST_CHARACTERS = 60
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?")


@dataclass(frozen=True, slots=True)
class Parts:
    """Which part each of n rows is in.

    Attributes:
        names: what the parts are called, without personal data.
        codes: int64 [n], the place of a row's part in `names`; -1 for a row that is in none.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]

    def members(self) -> sparse.csc_array:
        """Which rows are in which part, sparse float64 [n, parts]."""
        rows = np.flatnonzero(self.codes >= 0)
        shape = (len(self.codes), len(self.names))
        return sparse.csc_array((np.ones(len(rows)), (rows, self.codes[rows])), shape=shape)


def parts_of(values: Sequence[object]) -> Parts:
    """A column's values as parts: numbers and dates in quarters, all else by value.

    Of many values the commonest have a part each, and the others one together. Rows without a value
    are a part too.

    Args:
        values: n values as a file has them: texts, numbers, dates, None.
    """
    texts = [_text(value) for value in values]
    present = [text for text in texts if text is not None]
    if len(set(present)) > _MOST_DISTINCT_NUMBERS:
        numbers = _all(present, _number)
        dates = None if numbers is not None else _all(present, _date)
        if numbers is not None or dates is not None:
            order = np.array(numbers if numbers is not None else _ranks(dates or []), dtype=float)
            names = present if numbers is not None else _shown_dates(dates or [])
            return _with_empty(texts, bins_of(order, names))
    return _categories(texts)


def bins_of(numbers: NDArray[np.float64], names: Sequence[str], bins: int = _BINS) -> Parts:
    """Rows in bins of about the same size, by a number; equal numbers are in the same bin.

    Args:
        numbers: float64 [n].
        names: n texts that show the numbers; a bin is called by its first and last.
    """
    if not len(numbers):
        return Parts((), np.zeros(0, dtype=np.int64))
    edges = np.unique(np.quantile(numbers, np.arange(1, bins) / bins))
    found, codes = np.unique(np.searchsorted(edges, numbers, side="left"), return_inverse=True)
    called = []
    for place in range(len(found)):
        own = np.flatnonzero(codes == place)
        first, last = names[own[numbers[own].argmin()]], names[own[numbers[own].argmax()]]
        called.append(first if first == last else f"{first} to {last}")
    return Parts(tuple(called), codes.astype(np.int64))


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list | tuple):
        return "; ".join(str(one) for one in value) or None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "seconds")[:19]
    return str(value).strip() or None


def _all(texts: Sequence[str], read: object) -> list[float] | list[str] | None:
    """Every text as `read` gives it; None where it gives none for one of them."""
    assert callable(read)
    found = []
    for text in texts:
        value = read(text)
        if value is None:
            return None
        found.append(value)
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _date(text: str) -> str | None:
    return text if _ISO.match(text) else None


def _ranks(dates: Sequence[object]) -> NDArray[np.float64]:
    """Dates written in ISO 8601 stand in the order of time where they stand in that of letters."""
    return np.unique(np.array(dates, dtype=str), return_inverse=True)[1].astype(np.float64)


def _shown_dates(dates: Sequence[object]) -> list[str]:
    days = [str(date)[:10] for date in dates]
    return days if len(set(days)) > _BINS else [str(date)[:19] for date in dates]


def _with_empty(texts: Sequence[str | None], present: Parts) -> Parts:
    """Parts of the rows that have a value, spread over all rows; the others are one more part."""
    has_value = np.array([text is not None for text in texts])
    if has_value.all():
        return present
    codes = np.full(len(texts), len(present.names), dtype=np.int64)
    codes[has_value] = present.codes
    return Parts((*present.names, EMPTY), codes)


def _categories(texts: Sequence[str | None]) -> Parts:
    counts = Counter(EMPTY if text is None else text for text in texts)
    common = [value for value, _ in counts.most_common(_MOST_CATEGORIES)]
    if len(counts) == _MOST_CATEGORIES + 1:  # a part for the others would hold a single value
        common = list(counts)
    places = {value: place for place, value in enumerate(common)}
    codes = [places.get(EMPTY if text is None else text, len(common)) for text in texts]
    others = [f"{len(counts) - len(common):,} other values"] if len(counts) > len(common) else []
    names = [redacted(value)[:_MOST_CHARACTERS] for value in common]
    return Parts((*names, *others), np.array(codes, dtype=np.int64))
