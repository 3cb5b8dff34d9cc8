"""Parts by time: learn from what was, be judged on what came after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._split import FEWEST_ROWS, Split, check_shares
from tunesmith.data._suggest import listed, rows_text
from tunesmith.data._table import Table
from tunesmith.data._times import NO_TIME, read_times
from tunesmith.errors import DataError
from tunesmith.types import Dataset

__all__ = ["split_by_time", "times_of"]


def split_by_time(
    dataset: Dataset, times: NDArray[np.int64], *, validation: float, test: float
) -> Split:
    """The latest rows are the test part, those before them the validation part.

    Rows of one moment are never divided: they belong to the later part. A label may be absent from
    any part, as it may be tomorrow.

    Args:
        times: int64 [n], rising with time; see `times_of`.
        validation, test: the shares of rows; 0 for none.

    Raises:
        ConfigError: the shares are negative or leave nothing to train on.
        DataError: there are too few rows, or too few different moments.
    """
    check_shares(validation, test)
    order = np.argsort(times, kind="stable")
    first_test = _cut(times[order], len(order), test)
    first_validation = _cut(times[order], first_test, validation * len(order) / max(first_test, 1))
    bounds = {
        "training": (0, first_validation),
        "validation": (first_validation, first_test),
        "test": (first_test, len(order)),
    }
    asked = {"training": True, "validation": validation > 0, "test": test > 0}
    for name, (start, stop) in bounds.items():
        if asked[name] and stop - start < FEWEST_ROWS:
            raise DataError(
                f"{len(dataset):,} rows of {len(np.unique(times)):,} different times are too few "
                "to split",
                where=dataset.source,
                mend=f"the {name} part would have fewer than {FEWEST_ROWS} rows: add rows",
            )
    train, validated, tested = (
        dataset.take(np.sort(order[start:stop])) for start, stop in bounds.values()
    )
    return Split(train, validated, tested if test > 0 else None)


def times_of(table: Table, column: str, dataset: Dataset) -> NDArray[np.int64]:
    """When each example of a dataset was, by a column of the table that it was made of; int64 [n].

    Numbers, such as years, are taken as they are.

    Raises:
        DataError: there is no such column, it holds something else, or lacks values.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table.values(column).arrow
    if pa.types.is_integer(values.type):
        times: NDArray[np.int64] | None = np.asarray(
            pc.fill_null(values.cast(pa.int64()), int(NO_TIME)), dtype=np.int64
        )
    else:
        times = read_times(values)
    if times is None:
        shown = listed([str(value) for value in values.slice(0, 3).to_pylist()])
        raise DataError(
            f"column {column!r} does not hold times, but such as {shown}",
            where=table.source,
            mend="write them as 2024-05-31 or 2024-05-31T09:30:00",
        )
    own = times[dataset.rows - 1]
    lacking = dataset.rows[own == NO_TIME]
    if len(lacking):
        raise DataError(
            f"column {column!r} has no time in {rows_text(lacking.tolist(), 5)}",
            where=table.source,
            mend="add it, or leave these rows out of the file",
        )
    return own


def _cut(times: NDArray[np.int64], stop: int, share: float) -> int:
    """Where the last `share` of the first `stop` rows begins; `times` rise."""
    if share <= 0:
        return stop
    place = max(0, stop - max(FEWEST_ROWS, round(stop * share)))
    return int(np.searchsorted(times[:stop], times[place], side="left")) if stop else 0
