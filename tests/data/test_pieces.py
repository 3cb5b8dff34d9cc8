"""Long files in pieces: what comes of them does not depend on where the pieces end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import read_table
from tunesmith.data._json import parse_json_lines
from tunesmith.data._pieces import TextColumns, lines_of
from tunesmith.data._table import ROWS_AT_ONCE, ArrowValues, table_of
from tunesmith.errors import DataError

LINES = st.lists(st.sampled_from(["a", "é", "\n", "\r", "\r\n", "\u2028", '"', " "])).map("".join)


@given(LINES, st.integers(1, 5), st.sampled_from(["", "\n"]))
def test_lines_are_as_a_file_gives_them(text: str, size: int, newline) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.data._pieces._CHARACTERS_AT_ONCE", size)
        assert list(lines_of(text, newline)) == list(io.StringIO(text, newline=newline))


@pytest.mark.parametrize("num_rows", [0, 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 1])
def test_rows_become_columns(num_rows: int) -> None:
    gathered = TextColumns(2)
    rows = [(f"text {n}", "" if n % 3 else "x") for n in range(num_rows)]
    for row in rows:
        gathered.add(row)
    columns = [column.to_pylist() for column in gathered.finish()]
    assert columns == [[text for text, _ in rows], [label or None for _, label in rows]]


def test_values_of_a_column_in_pieces() -> None:
    column = pa.chunked_array([list(range(2 * ROWS_AT_ONCE + 3)), [None], []], pa.int64())
    values = ArrowValues(column)
    assert list(values) == [*range(2 * ROWS_AT_ONCE + 3), None]
    assert len(values) == 2 * ROWS_AT_ONCE + 4
    assert max(len(piece) for piece in values.pieces()) == ROWS_AT_ONCE


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".txt"])
def test_files_of_several_pieces(make_file: Callable[[str, str], Path], suffix: str) -> None:
    texts = [f"text number {n}" for n in range(2 * ROWS_AT_ONCE + 7)]
    if suffix == ".jsonl":
        content = "\n".join(json.dumps({"text": text}) for text in texts)
    else:
        content = "\n".join(["text", *texts])
    table = read_table(make_file(f"x{suffix}", content))
    assert table.column("text") == texts
    assert table.arrow.column("text").type == pa.string()


def test_a_ragged_row_far_down(make_file: Callable[[str, str], Path]) -> None:
    lines = ["text,label", *["a,b"] * ROWS_AT_ONCE, "", "a,b,c", "d,e"]
    with pytest.raises(DataError) as caught:
        read_table(make_file("x.csv", "\n".join(lines)))
    assert caught.value.faults[0].where.endswith(
        f"row {ROWS_AT_ONCE + 1} (line {ROWS_AT_ONCE + 3})"
    )


VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", ""]),
    st.booleans(),
    st.lists(st.sampled_from(["a", 1, None]), max_size=2),
    st.dictionaries(st.sampled_from("kl"), st.integers(0, 1), max_size=2),
)
PLAIN = st.one_of(st.none(), st.sampled_from(["a", "é"]))


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=9)
    | st.lists(st.dictionaries(st.sampled_from("ab"), PLAIN, min_size=1), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_json_lines_are_as_if_read_at_once(rows: list, size: int) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = "\n".join(map(json.dumps, rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.data._json.ROWS_AT_ONCE", size)
        if not names:
            with pytest.raises(DataError, match="the objects are empty"):
                parse_json_lines(text, "x")
            return
        read = parse_json_lines(text, "x").arrow
    whole = table_of(names, ([row.get(name) for row in rows] for name in names), "x").arrow
    assert read.schema == whole.schema
    assert read.to_pydict() == whole.to_pydict()


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_fault_in_any_piece_is_said(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.data._json.ROWS_AT_ONCE", size)
    text = '{"a": 1}\n\n{"a": "x"}\n{"a": \n[1]\n{"a": 2}'
    with pytest.raises(DataError) as caught:
        parse_json_lines(text, "x.jsonl")
    assert [fault.where for fault in caught.value.faults] == ["x.jsonl, line 4", "x.jsonl, line 5"]
    assert caught.value.faults[0].what == "not JSON: Expecting value at character 7"
