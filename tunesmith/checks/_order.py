"""Time: whether the labels, or what is written, change from the first rows to the last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding
from tunesmith.checks._subject import Subject

__all__ = ["check_time_drift"]

_FEWEST_ROWS = 100
_SAMPLE_ROWS = 1_000
_DRIFT = 0.15  # total variation distance
_CHANCE = 0.001
_ISO = r"^\s*\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?"


def check_time_drift(subject: Subject) -> Iterator[Finding]:
    """Finds labels whose shares differ between the earliest and the latest third of the rows."""
    from scipy.stats import chi2_contingency

    if subject.target is None or subject.has_several_labels:
        return
    codes, names = subject.label_codes, list(subject.label_counts)
    for name in subject.other_columns:
        times = _times(subject, name)
        if times is None:
            continue
        is_known = (times != _NO_TIME) & (codes >= 0)
        if is_known.sum() < _FEWEST_ROWS:
            continue
        order = np.argsort(times[is_known], kind="stable")
        own = codes[is_known]
        third = len(order) // 3
        parts = [np.bincount(own[p], minlength=len(names)) for p in (order[:third], order[-third:])]
        table = np.stack(parts)[:, np.sum(parts, axis=0) > 0]
        distance = float(np.abs(table[0] - table[1]).sum()) / (2 * third)
        if table.shape[1] < 2 or distance < _DRIFT:
            continue
        if float(chi2_contingency(table).pvalue) > _CHANCE:
            continue
        change = (parts[1] - parts[0]) / third
        up, down = int(np.argmax(change)), int(np.argmin(change))
        yield Finding(
            check="time-drift",
            severity="note",
            message=f"the labels change with column {name!r}: from the earliest third of the rows "
            f"to the latest, {names[up]!r} goes from {parts[0][up] / third:.0%} to "
            f"{parts[1][up] / third:.0%}, {names[down]!r} from {parts[0][down] / third:.0%} to "
            f"{parts[1][down] / third:.0%}",
            fix="judge on the latest rows, given with --test: a random test part would look better "
            "than the future will",
            column=name,
        )


_NO_TIME = np.iinfo(np.int64).min


def _times(subject: Subject, name: str) -> NDArray[np.int64] | None:
    """A column of dates as numbers, in the order of time; None where it holds something else."""
    column = subject.table.arrow.column(name)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        sample = column.slice(0, _SAMPLE_ROWS).drop_null()
        matches = pc.match_substring_regex(sample, _ISO)
        if not len(sample) or pc.mean(matches.cast(pa.int8())).as_py() < 0.95:
            return None
        number = _day
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        number = _microsecond
    else:
        return None
    times = np.empty(len(column), dtype=np.int64)
    for start, piece in subject.pieces(column):
        times[start : start + len(piece)] = pc.fill_null(number(piece), int(_NO_TIME))
    return times


def _day(piece: pa.Array) -> pa.Array:
    """Days written as in ISO 8601 as numbers: "2024-03-01 12:00" is 20240301."""
    day = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(piece), 0, 10)
    digits = pc.replace_substring(day, "-", "")
    sound = pc.match_substring_regex(pc.fill_null(digits, ""), r"^\d{8}$")
    return pc.if_else(sound, digits, None).cast(pa.int64())


def _microsecond(piece: pa.Array) -> pa.Array:
    return piece.cast(pa.timestamp("us")).cast(pa.int64())
