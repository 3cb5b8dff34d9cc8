"""Columns that say when: as numbers in the order of time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.data._table import ArrowValues

__all__ = ["NO_TIME", "read_times"]

NO_TIME = np.iinfo(np.int64).min
"""Of a row that does not say when."""

_SAMPLE_ROWS = 1_000
_ISO = r"^\s*\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?"
_DIGITS = 14  # year to second


def read_times(column: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """A column of dates, or of dates and times, as numbers that rise with time.

    Texts are read as ISO 8601 (2024-05-31, 2024-05-31T09:30:00); time zones do not count.

    Returns:
        int64 [n] with `NO_TIME` where a row has none; None where the column holds something else.
    """
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        number = _microsecond
    elif (pa.types.is_string(kind) or pa.types.is_large_string(kind)) and _is_iso(column):
        number = _second
    else:
        return None
    times = np.empty(len(column), dtype=np.int64)
    start = 0
    for piece in ArrowValues(column).pieces():
        times[start : start + len(piece)] = pc.fill_null(number(piece), int(NO_TIME))
        start += len(piece)
    return times


def _microsecond(piece: pa.Array) -> pa.Array:
    return piece.cast(pa.timestamp("us")).cast(pa.int64())


def _second(piece: pa.Array) -> pa.Array:
    """Dates as numbers of their digits: "2024-03-01 12:00" is 20240301120000."""
    text = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(piece), 0, 19)
    matched = pc.match_substring_regex(pc.fill_null(text, ""), _ISO)
    digits = pc.utf8_rpad(pc.replace_substring_regex(text, r"\D", ""), _DIGITS, "0")
    return pc.if_else(matched, digits, None).cast(pa.int64())


def _is_iso(column: pa.ChunkedArray) -> bool:
    """Whether nearly all of a sample are dates; it is spread over the file."""
    step = max(1, len(column) // _SAMPLE_ROWS)
    sample = column.take(pa.array(range(0, len(column), step), pa.int64())).drop_null()
    matches = pc.match_substring_regex(sample, _ISO)
    return bool(len(sample)) and pc.mean(matches.cast(pa.int8())).as_py() >= 0.95
