"""Columns of any kind as parts of the rows."""

from __future__ import annotations

import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation._parts import EMPTY, bins_of, parts_of

VALUES = st.one_of(
    st.none(), st.text(max_size=3), st.integers(-50, 50), st.floats(), st.booleans(), st.dates()
)


@given(st.lists(VALUES, max_size=60))
def test_every_row_has_a_part_with_a_name(values):
    parts = parts_of(values)
    assert len(parts.codes) == len(values)
    assert all(0 <= code < len(parts.names) for code in parts.codes)
    assert set(parts.codes.tolist()) == set(range(len(parts.names)))
    members = parts.members()
    assert members.shape == (len(values), len(parts.names))
    assert members.sum() == len(values)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=100))
def test_bins_are_in_order_and_split_no_value(numbers):
    parts = bins_of(np.array(numbers, dtype=float), [str(one) for one in numbers])
    assert 1 <= len(parts.names) <= 4
    for one, code in zip(numbers, parts.codes, strict=True):
        ends = [int(end) for end in parts.names[code].split(" to ")]
        assert ends[0] <= one <= ends[-1]
    firsts = [int(name.split(" to ")[0]) for name in parts.names]
    assert firsts == sorted(firsts)


def test_numbers_dates_and_categories():
    assert parts_of([str(place) for place in range(40)]).names[0] == "0 to 9"
    assert parts_of([1, 2, 3, 1, 2, 3, None]).names == ("1", "2", "3", EMPTY)
    days = [datetime.date(2026, 1, 1) + datetime.timedelta(place) for place in range(40)]
    assert parts_of(days).names[0] == "2026-01-01 to 2026-01-10"
    assert parts_of([f"{day} 10:00:00" for day in days]).names[0] == "2026-01-01 to 2026-01-10"
    many = [f"shop {place % 20}" for place in range(100)] + ["shop 3"]
    assert parts_of(many).names[0] == "shop 3"
    assert parts_of(many).names[-1] == "8 other values"
    assert len(parts_of([f"shop {place % 13}" for place in range(100)]).names) == 13


def test_personal_data_is_no_name():
    assert "anna@example.com" not in " ".join(parts_of(["anna@example.com", "x"] * 5).names)
