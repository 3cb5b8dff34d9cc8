"""JSON lines and JSON arrays."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import read_table
from tunesmith.errors import DataError


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson"])
def test_lines(make_file, suffix: str) -> None:
    content = '\ufeff{"text": "a", "n": 1}\r\n\r\n{"text": "b\u2028c", "extra": [1]}'
    table = read_table(make_file(f"x{suffix}", content))
    assert table.column_names == ["text", "n", "extra"]
    assert table.column("text") == ["a", "b\u2028c"]
    assert table.column("n") == [1, None]
    assert table.column("extra") == [None, [1]]


def test_broken_lines_are_named(make_file) -> None:
    lines = ['{"text": "a"}', '{"text": }', "", "[1]", '"x"', "3", "null", "true"]
    with pytest.raises(DataError) as caught:
        read_table(make_file("x.jsonl", "\n".join(lines)))
    first = caught.value.faults[0]
    assert first.where.endswith("x.jsonl, line 2")
    assert first.what == "not JSON: Expecting value at character 10"
    assert [fault.where.rpartition(" ")[2] for fault in caught.value.faults] == list("24567")
    assert [fault.what for fault in caught.value.faults[1:]] == [
        "holds a list, not an object",
        "holds text, not an object",
        "holds a number, not an object",
        "holds null, not an object",
    ]


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000])
def test_hostile_values(make_file, value: str) -> None:
    with pytest.raises(DataError, match="not JSON"):
        read_table(make_file("x.jsonl", '{"text": ' + value + "}\n"))
    with pytest.raises(DataError, match="not JSON"):
        read_table(make_file("x.json", '[{"text": ' + value + "}]\n"))


def test_array(make_file) -> None:
    table = read_table(make_file("x.json", '[{"text": "a"}, {"text": "b", "label": true}]'))
    assert table.column("label") == [None, True]


def test_array_under_a_key(make_file) -> None:
    table = read_table(make_file("x.json", '{"version": 1, "data": [{"text": "a"}]}'))
    assert table.column("text") == ["a"]
    assert table.notes == ("rows are read from the list 'data'",)


def test_json_lines_named_json(make_file) -> None:
    table = read_table(make_file("x.json", '{"text": "a"}\n{"text": "b"}\n'))
    assert table.column("text") == ["a", "b"]
    assert table.notes == ("read as JSON lines: one object a line",)


def test_array_named_jsonl(make_file) -> None:
    assert read_table(make_file("x.jsonl", ' [{"text": "a"}]')).num_rows == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}, "x"]', "item 2: is text, not an object"),
        ('[{"a": 1},\n {"a": }]', "line 2: not JSON"),
        ("3", "holds a number, not a list of objects"),
        ("[]", "there are no rows"),
        ("[{}]", "the objects are empty"),
        ('[{"": 1}]', "column 1 has no name"),
    ],
)
def test_other_arrays(make_file, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(make_file("x.json", content))


def test_mixed_types_become_text(make_file) -> None:
    table = read_table(make_file("x.jsonl", '{"label": 1}\n{"label": "a"}\n{"label": NaN}\n'))
    assert table.column("label") == ["1", "a", None]


SCALAR = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))


@given(
    st.lists(st.fixed_dictionaries({"text": SCALAR, "label": SCALAR}), min_size=1, max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_what_json_writes_is_read(rows, ascii_only: bool, as_lines: bool) -> None:
    if as_lines:
        content = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    else:
        content = json.dumps(rows, ensure_ascii=ascii_only, indent=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("x.jsonl" if as_lines else "x.json")
        path.write_bytes(content.encode())
        table = read_table(path)
    for name in ("text", "label"):
        assert table.column(name) == [row[name] for row in rows]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        (
            "x.jsonl",
            '{"text": "a", "label": "b"}\n{"text": "c", "text": "d", "label": "e"}\n',
            "line 2",
        ),
        ("x.json", '[{"text": "a", "more": {"text": 1, "text": 2}}]', "x.json"),
    ],
)
def test_a_key_that_stands_twice_in_an_object(
    make_file, name: str, content: str, where: str
) -> None:
    with pytest.raises(DataError, match="has the key 'text' more than once") as caught:
        read_table(make_file(name, content))
    assert where in str(caught.value.faults[0].where)
