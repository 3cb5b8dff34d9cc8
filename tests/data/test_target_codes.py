"""Targets as codes: what `read_targets` says, each value that differs read once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import Table, read_target_codes, read_targets
from tunesmith.errors import DataError

TEXTS = st.sampled_from(
    [None, "", " ", "a", " a", "b", "a|b", "b;c", "True", "false", "1.0", "2", '["a", "b"]', "[]"]
)
COLUMNS = st.one_of(
    st.lists(TEXTS),
    st.lists(st.none() | st.integers(0, 3)),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.sampled_from([1.0, 2.5, float("nan")])),
    st.lists(st.none() | st.lists(st.sampled_from("ab"), max_size=2)),
)


@given(COLUMNS, st.sampled_from([None, True, False]), st.sampled_from([None, "|"]))
def test_codes_say_what_the_targets_are(values, multi_label, separator) -> None:
    half = len(values) // 2
    kind = pa.array(values).type
    column = pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])
    table = Table(pa.table({"label": column}), "rows.csv")
    settings = {"multi_label": multi_label, "label_separator": separator}
    try:
        expected = read_targets(table, "label", **settings).values
    except DataError as error:
        with pytest.raises(DataError) as caught:
            read_target_codes(table, "label", **settings)
        assert caught.value.faults == error.faults
        return
    read = read_target_codes(table, "label", **settings)
    assert list(read) == expected
    assert read == expected
    assert [read[place] for place in range(len(read))] == expected
    assert read[1:] == expected[1:]
    assert read.distinct == list(dict.fromkeys(one for one in expected if one is not None))


def test_a_column_that_is_not_there() -> None:
    table = Table(pa.table({"label": ["a"]}), "rows.csv")
    with pytest.raises(DataError, match="does not exist"):
        read_target_codes(table, "lable", multi_label=None, label_separator=None)
