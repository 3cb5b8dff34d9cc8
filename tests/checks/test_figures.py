"""Where the bars of the page lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checks import Subject
from tunesmith.checks._figures import PLOT_WIDTH, histogram, matrix, size_bars
from tunesmith.checks._overview import read_columns, words_per_text
from tunesmith.data import Table


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=300))
def test_every_value_is_in_one_bar(values: list[int]) -> None:
    drawn = histogram(np.array(values))
    assert drawn is not None
    bars = [*drawn.bars, *([drawn.tail] if drawn.tail else [])]
    assert sum(int(bar[4].rpartition(": ")[2].replace(",", "")) for bar in bars) == len(values)
    places = [bar[0] for bar in bars]
    assert places == sorted(set(places))
    assert all(left[0] + left[2] <= right[0] for left, right in pairwise(bars))
    assert bars[-1][0] + bars[-1][2] <= PLOT_WIDTH
    assert all(bar[1] >= 0 and bar[3] > 0 for bar in bars)
    assert len(drawn.x_ticks) >= 1


def test_one_very_long_text_does_not_squeeze_the_others() -> None:
    drawn = histogram(np.array([*range(10, 40)] * 20 + [100_000]))
    assert drawn is not None
    assert len(drawn.bars) == 30
    assert drawn.tail is not None
    assert drawn.tail[4] == "40 and more: 1"
    assert histogram(np.zeros(0, dtype=np.int64)) is None


def test_groups_by_size() -> None:
    bars = size_bars(np.array([2, 2, 2, 3, 7, 50, 1000]))
    assert [(bar.name, bar.count) for bar in bars] == [
        ("2 rows", 3), ("3 rows", 1), ("5 to 9 rows", 1), ("10 to 99 rows", 1),
        ("100 and more rows", 1),
    ]  # fmt: skip
    assert bars[0].length == 1


def test_a_matrix_of_pairs() -> None:
    drawn = matrix({("a", "b"): 6, ("b", "a"): 1}, ["a", "b"])
    assert drawn.rows == (("a", ((0, 0), (6, 6))), ("b", ((1, 1), (0, 0))))


@pytest.mark.parametrize(
    ("text", "words"), [("one two  three", 3), ("房间很干净", 5), ("it's 3房", 3), ("ไทย", 3)]
)
def test_words(text: str, words: int) -> None:
    checked = Subject(Table(pa.table({"text": [text, None, " "]}), "rows"), ("text",))
    assert words_per_text(checked, "text").tolist() == [words]


def test_columns() -> None:
    table = pa.table({
        "id": [1, 2, None], "said": ["a", " ", None], "label": ["x", "", "y"],
        "day": pa.nulls(3), "note": ["", "b", "\u3000"],
    })  # fmt: skip
    columns = read_columns(Subject(Table(table, "rows"), ("said",), "label"))
    assert [(one.name, one.role, one.num_missing) for one in columns] == [
        ("said", "text", 2), ("label", "label", 1), ("day", "", 3), ("note", "", 2), ("id", "", 1),
    ]  # fmt: skip
    assert {one.name: one.kind for one in columns}["id"] == "whole numbers"


def test_of_a_long_file_some_rows_are_looked_at() -> None:
    texts = pa.chunked_array([["a b"] * 150_001, ["a b c"] * 250_001])
    checked = Subject(Table(pa.table({"text": texts}), "rows"), ("text",))
    words = words_per_text(checked, "text")
    assert len(words) == 133_334  # every third
    assert np.bincount(words).tolist() == [0, 0, 50_001, 83_333]
