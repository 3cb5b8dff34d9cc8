"""Splits by time, and the columns that say when."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tunesmith.data import NO_TIME, Table, read_times, split_by_time, times_of
from tunesmith.errors import DataError
from tunesmith.types import Dataset


def numbered(num_rows: int) -> Dataset:
    texts = [f"text {n}" for n in range(num_rows)]
    return Dataset((texts,), ["a", "b"] * (num_rows // 2), np.arange(1, num_rows + 1), "x.csv")


def test_the_latest_rows_are_the_test() -> None:
    times = np.random.default_rng(0).permutation(100)
    split = split_by_time(numbered(100), times, validation=0.1, test=0.2)
    assert split.test is not None
    own = [times[part.rows - 1] for part in (split.train, split.validation, split.test)]
    assert [len(part) for part in own] == [70, 10, 20]
    assert own[0].max() < own[1].min()
    assert own[1].max() < own[2].min()


def test_one_moment_is_on_one_side() -> None:
    times = np.repeat(np.arange(10), 10)
    split = split_by_time(numbered(100), times, validation=0.15, test=0.05)
    assert split.test is not None
    assert [len(p) for p in (split.train, split.validation, split.test)] == [70, 20, 10]
    with pytest.raises(DataError, match="100 rows of 1 different times are too few"):
        split_by_time(numbered(100), np.zeros(100, np.int64), validation=0.1, test=0.1)


def test_parts_not_asked_for() -> None:
    split = split_by_time(numbered(20), np.arange(20), validation=0, test=0.2)
    assert (len(split.train), len(split.validation), len(split.test or ())) == (16, 0, 4)
    split = split_by_time(numbered(20), np.arange(20), validation=0.2, test=0)
    assert (len(split.train), len(split.validation), split.test) == (16, 4, None)


@pytest.mark.parametrize(
    "values",
    [
        ["2024-05-31", "2024-06-01T08:00:00Z", None, "2024-06-01 09:30", "2024-06-02"],
        [datetime.date(2024, month, 1) if month else None for month in (1, 2, 0, 3, 4)],
        [datetime.datetime(2024, 1, day) if day else None for day in (1, 2, 0, 3, 4)],
    ],
)
def test_times_rise(values: list) -> None:
    times = read_times(pa.chunked_array([values]))
    assert times is not None
    assert times[2] == NO_TIME
    assert np.all(np.diff(np.delete(times, 2)) > 0)


def test_what_is_no_time() -> None:
    assert read_times(pa.chunked_array([["yesterday", "today"]])) is None
    assert read_times(pa.chunked_array([[1.5, 2.5]])) is None
    assert read_times(pa.chunked_array([pa.array([], pa.string())])) is None


def test_a_column_of_a_table() -> None:
    data = numbered(4)
    table = Table(
        pa.table({"year": [2020, 2021, 2022, 2023], "day": ["2020-01-01", None] * 2,
                  "who": list("abcd")}),
        "x.csv",
    )  # fmt: skip
    assert times_of(table, "year", data.take([3, 1])).tolist() == [2023, 2021]
    with pytest.raises(DataError, match=r"column 'day' has no time in rows 2, 4"):
        times_of(table, "day", data)
    with pytest.raises(DataError, match="'who' does not hold times, but such as 'a', 'b', 'c'"):
        times_of(table, "who", data)
    with pytest.raises(DataError, match="'when' does not exist"):
        times_of(table, "when", data)
