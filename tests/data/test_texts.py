"""Columns as texts in one block, whatever Arrow holds them as."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tunesmith.data import Table
from tunesmith.data._texts import read_texts
from tunesmith.types import Texts

TEXTS = ["one", "", " \u3000", "zwei, drei", "你好", "é" * 40, "\x1f", "last"]
MISSING = [False, True, True, False, False, False, True, False]
KINDS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("chunks", [[8], [3, 5], [0, 8], [1] * 8])
def test_texts_and_which_are_missing(kind: pa.DataType, chunks: list[int]) -> None:
    arrays, start = [], 0
    for size in chunks:
        arrays.append(pa.array(TEXTS[start : start + size], pa.string()).cast(kind))
        start += size
    texts, missing = read_texts(Table(pa.table({"a": pa.chunked_array(arrays, kind)}), "x"), "a")
    assert isinstance(texts, Texts)
    assert missing.tolist() == MISSING
    assert [text for text, out in zip(texts, missing, strict=True) if not out] == [
        text for text, out in zip(TEXTS, MISSING, strict=True) if not out
    ]


def test_nulls_are_missing() -> None:
    texts, missing = read_texts(Table(pa.table({"a": ["x", None, "y"]}), "x"), "a")
    assert missing.tolist() == [False, True, False]
    assert (texts[0], texts[2]) == ("x", "y")


def test_a_part_of_a_column() -> None:
    whole = pa.table({"a": TEXTS})
    texts, _ = read_texts(Table(whole.slice(3, 3), "x"), "a")
    assert texts == TEXTS[3:6]


def test_numbers_are_written_as_labels_are() -> None:
    table = Table(
        pa.table({"a": [1.0, None, 2.5, float("nan")], "b": [True, False, None, True]}), ""
    )
    texts, missing = read_texts(table, "a")
    assert missing.tolist() == [False, True, False, True]
    assert texts[::2] == ["1", "2.5"]
    assert read_texts(table, "b")[0][:2] == ["true", "false"]


@pytest.mark.parametrize("column", [pa.array([], pa.string()), pa.array([], pa.null())])
def test_no_rows(column: pa.Array) -> None:
    texts, missing = read_texts(Table(pa.table({"a": column}), "x"), "a")
    assert len(texts) == len(missing) == 0
    assert list(texts) == []


def test_one_string_chunk_is_not_copied() -> None:
    column = pa.array(["one", "two"], pa.string())
    texts, _ = read_texts(Table(pa.table({"a": column}), "x"), "a")
    assert texts._block.ctypes.data == column.buffers()[2].address
