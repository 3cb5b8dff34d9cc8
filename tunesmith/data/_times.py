"""Columns that say when: as numbers in the order of time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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
        numbers = column.cast(pa.timestamp("us")).cast(pa.int64())
    elif (pa.types.is_string(kind) or pa.types.is_large_string(kind)) and _is_iso(column):
        text = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(column), 0, 19)
        matched = pc.match_substring_regex(pc.fill_null(text, ""), _ISO)
        digits = pc.utf8_rpad(pc.replace_substring_regex(text, r"\D", ""), _DIGITS, "0")
        numbers = pc.if_else(matched, digits, None).cast(pa.int64())
    else:
        return None
    return np.asarray(pc.fill_null(numbers, int(NO_TIME)), dtype=np.int64)


def _is_iso(column: pa.ChunkedArray) -> bool:
    """Whether nearly all of a sample are dates; it is spread over the file."""
    step = max(1, len(column) // _SAMPLE_ROWS)
    sample = column.take(pa.array(range(0, len(column), step), pa.int64())).drop_null()
    matches = pc.match_substring_regex(sample, _ISO)
    return bool(len(sample)) and pc.mean(matches.cast(pa.int8())).as_py() >= 0.95
