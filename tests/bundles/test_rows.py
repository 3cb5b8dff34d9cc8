"""Labelled rows on the disk: what goes in comes out, and anything else is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.bundles import read_rows, write_rows
from tunesmith.errors import DataError
from tunesmith.types import Dataset

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def dataset(columns: list[list[str]], targets: list[object]) -> Dataset:
    return Dataset(tuple(columns), targets, np.arange(7, 7 + len(targets)), "x.csv")  # type: ignore[arg-type]


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=8))
def test_one_label_a_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    first, second, labels = (list(column) for column in zip(*rows, strict=True))
    write_rows(file, dataset([first, second], labels), ["question", "answer"], "same")
    found = read_rows(file, ["question", "answer"], "same")
    assert found.columns == (first, second)
    assert found.targets == labels
    assert found.rows.tolist() == list(range(1, len(rows) + 1))


@given(st.lists(st.lists(texts, max_size=3).map(tuple), min_size=1, max_size=8))
def test_several_labels_a_row(
    tmp_path_factory: pytest.TempPathFactory, targets: list[tuple[str, ...]]
) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_rows(file, dataset([["a text"] * len(targets)], targets), ["text"], "topics")
    assert read_rows(file, ["text"], "topics").targets == targets


def test_many_rows_are_written_in_parts(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(25_001)]
    write_rows(tmp_path / "rows.parquet", dataset([numbers], numbers), ["text"], "label")
    assert pq.ParquetFile(tmp_path / "rows.parquet").num_row_groups == 3
    assert read_rows(tmp_path / "rows.parquet", ["text"], "label").columns == (numbers,)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"text": ["a"]}),
        pa.table({"text": ["a"], "label": [1]}),
        pa.table({"text": ["a", "b"], "label": ["x", None]}),
        pa.table({"text": [["a"]], "label": ["x"]}),
        pa.table({"text": ["a"], "label": [[1]]}),
    ],
)
def test_other_columns_are_said(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="cannot be read") as raised:
        read_rows(tmp_path / "rows.parquet", ["text"], "label")
    assert str(tmp_path / "rows.parquet") in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text,label\na,b\n"])
def test_other_files_are_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path / "rows.parquet", ["text"], "label")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path / "absent.parquet", ["text"], "label")
