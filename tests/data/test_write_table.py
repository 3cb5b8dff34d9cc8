"""Files written: round trips, and nothing left behind when it goes wrong."""

from __future__ import annotations

import errno
import gzip
import tempfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import Table, read_table, write_table
from tunesmith.errors import OutputError

TEXTS = pa.table({"text": ['a "b",\n c\t', None, "é\u2028 ü"], "label": ["1", "2", "3"]})
SUFFIXES = [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"x{suffix}"
    write_table(Table(TEXTS, "x"), path)
    read = read_table(path)
    assert read.arrow.to_pydict() == TEXTS.to_pydict()
    assert [child.name for child in path.parent.iterdir()] == [path.name]


CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)


@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6),
    st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"]),
)
def test_any_text_comes_back(rows, suffix: str) -> None:
    columns = {
        name: [value or None for value in values]
        for name, values in zip(("text", "label"), zip(*rows, strict=True), strict=True)
    }
    table = Table(pa.table({n: pa.array(v, pa.string()) for n, v in columns.items()}), "x")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        write_table(table, path)
        assert read_table(path).arrow.to_pydict() == columns


def test_values_that_are_no_text(tmp_path: Path) -> None:
    table = Table(
        pa.table(
            {
                "labels": [["a", "é"], []],
                "flag": [True, None],
                "score": [1.5, float("nan")],
                "day": [date(2024, 1, 2), None],
            }
        ),
        "x",
    )
    write_table(table, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text("utf-8").splitlines() == [
        "labels,flag,score,day",
        '"[""a"", ""é""]",true,1.5,2024-01-02',
        "[],,,",
    ]
    write_table(table, tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text("utf-8").splitlines()[1] == (
        '{"labels": [], "flag": null, "score": null, "day": null}'
    )


def test_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("precious")
    with pytest.raises(OutputError, match="the file exists"):
        write_table(Table(TEXTS, "x"), path)
    assert path.read_text() == "precious"
    write_table(Table(TEXTS, "x"), path, overwrite=True)
    assert read_table(path).num_rows == 3


@pytest.mark.parametrize("name", ["x", "x.xlsx", "x.parquet.gz", "x.gz"])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot tell what to write"):
        write_table(Table(TEXTS, "x"), tmp_path / name)


def test_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_table(Table(TEXTS, "x"), tmp_path / "x.csv", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_table(Table(TEXTS, "x"), tmp_path / "file" / "x.csv")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".csv.gz"])
def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text("precious")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write_table(Table(TEXTS, "x"), path, overwrite=True)
    assert "make room" in str(caught.value)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "precious"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".csv.gz", ".parquet"])
def test_disk_that_is_full_while_writing(tmp_path: Path, monkeypatch, suffix: str) -> None:
    rows = pa.table({"text": [f"{n} text" for n in range(20_000)]})
    real = Path.open

    def on_full_disk(self: Path, mode: str = "r", *rest: object):
        if mode == "xb":
            self.touch()
            return real(Path("/dev/full"), "wb")
        return real(self, mode, *rest)

    monkeypatch.setattr(Path, "open", on_full_disk)
    with pytest.raises(OutputError, match="the disk is full"):
        write_table(Table(rows, "x"), tmp_path / f"x{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def stop(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_table(Table(TEXTS, "x"), tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_bytes_need_parquet(tmp_path: Path) -> None:
    table = Table(pa.table({"image": [b"\xff"]}), "x")
    with pytest.raises(OutputError, match="bytes cannot be written"):
        write_table(table, tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []
    write_table(table, tmp_path / "x.parquet")


def test_equal_tables_make_equal_archives(tmp_path: Path) -> None:
    write_table(Table(TEXTS, "x"), tmp_path / "a.csv.gz")
    write_table(Table(TEXTS, "x"), tmp_path / "b.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b"text,label\n")
