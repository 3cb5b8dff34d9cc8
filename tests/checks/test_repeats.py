"""What occurs more than once, against the plain way to find it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checks._repeats import Made, equal_rows, grouped, matching_rows, repeated
from tunesmith.data import normal_text, overlap
from tunesmith.types import Dataset, Texts

TEXTS = st.text(st.sampled_from("aAbß ﬁ\n"), max_size=3)


def columns(rows: list[tuple[str, ...]]) -> list[pa.ChunkedArray]:
    own = list(zip(*rows, strict=True)) or [()]
    return [pa.chunked_array([one[:2], one[2:]], pa.string()) for one in own]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5)))
def test_keys_that_occur_more_than_once(values: list[int]) -> None:
    keys = np.array(values, dtype=np.uint64)
    places = sorted((key, place) for place, key in enumerate(values) if values.count(key) > 1)
    assert repeated(keys).tolist() == [place for _, place in places]


@given(st.lists(st.tuples(TEXTS, st.booleans())) | st.lists(st.tuples(TEXTS, TEXTS, st.booleans())))
def test_rows_of_equal_texts(rows: list[tuple]) -> None:
    groups = defaultdict(list)
    for place, (*texts, chosen) in enumerate(rows):
        if chosen:
            groups[tuple(map(normal_text, texts))].append(place)
    chosen = np.array([row[-1] for row in rows], dtype=bool)
    found = grouped(*equal_rows(columns([row[:-1] for row in rows]), chosen))
    assert found == sorted(group for group in groups.values() if len(group) > 1)


@given(st.lists(st.tuples(TEXTS), min_size=1), st.lists(st.tuples(TEXTS), min_size=1))
def test_rows_that_stand_in_two_files(own: list, others: list) -> None:
    def dataset(rows: list) -> Dataset:
        return Dataset((Texts.of(row[0] for row in rows),), None, np.arange(len(rows)))

    found = matching_rows(
        columns(own), np.ones(len(own), bool), columns(others), np.ones(len(others), bool)
    )
    pairs = list(zip(*(one.tolist() for one in found), strict=True))
    assert pairs == overlap(dataset(own), dataset(others))


def test_values_made_when_asked_for_are_like_a_list() -> None:
    squares = Made(5, lambda place: place**2)
    assert squares == [0, 1, 4, 9, 16]
    assert squares[1:3] == [1, 4]
    assert squares[-1] == 16
    assert squares[:None] == list(squares)
    assert squares != [0, 1, 4, 9]
