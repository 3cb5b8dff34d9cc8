"""Long files: read in pieces and kept on the disk, and nothing is other than if read at once."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data import read_table
from tunesmith.data._long import LongText, open_long_text
from tunesmith.data._spill import ArrayStore, forget_pages, spilled_column
from tunesmith.errors import DataError, Fault, OutputError

CHARACTERS = st.sampled_from(
    ["a", "é", "€", "💶", "\n", "\r", "\r\n", "\u2028", '"', ",", ";", "\t", " ", "\ufeff"]
)
CELLS = st.text(st.sampled_from('ab,"\n\ré€ '), max_size=6)


def take_limits_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tunesmith.data._long._FEWEST_BYTES", 1)
    patch.setattr("tunesmith.data._long._BYTES_AT_ONCE", 3)
    patch.setattr("tunesmith.data._spill._BYTES_IN_MEMORY", 1)
    patch.setattr("tunesmith.data._pieces.ROWS_AT_ONCE", 3)
    patch.setattr("tunesmith.data._json.ROWS_AT_ONCE", 3)


def told(path: Path) -> object:
    """The table and its notes, or what is said against the file."""
    try:
        table = read_table(path)
    except DataError as error:
        return error.faults
    return table.arrow.schema, table.arrow.to_pydict(), table.notes, table.source


def both(path: Path) -> tuple[object, object]:
    """The same file read in pieces and at once."""
    with pytest.MonkeyPatch.context() as patch:
        take_limits_away(patch)
        in_pieces = told(path)
    return in_pieces, told(path)


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.sampled_from(["x.csv", "x.tsv", "x.txt", "x.jsonl", "x.csv.gz"])


@same_folder
@given(st.lists(CHARACTERS).map("".join), NAMES)
def test_any_text_is_read_as_if_at_once(tmp_path: Path, text: str, name: str) -> None:
    in_pieces, at_once = both(_write(tmp_path, name, text.encode()))
    assert in_pieces == at_once


@same_folder
@given(st.binary(max_size=40), NAMES)
def test_any_bytes_are_read_as_if_at_once(tmp_path: Path, data: bytes, name: str) -> None:
    in_pieces, at_once = both(_write(tmp_path, name, b"text,label\r\n" + data))
    assert in_pieces == at_once


@same_folder
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=9),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from([None, 0, 4]),
)
def test_quotes_line_ends_marks_and_ragged_rows(
    tmp_path: Path, rows: list[list[str]], end: str, has_mark: bool, ragged: int | None
) -> None:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    if ragged is not None:
        lines.insert(ragged, "one,two,three")
    text = end.join(["text,label", *lines])
    data = text.encode("utf-8-sig" if has_mark else "utf-8")
    in_pieces, at_once = both(_write(tmp_path, "x.csv", data))
    assert in_pieces == at_once
    assert isinstance(in_pieces, tuple)


VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.lists(CHARACTERS, max_size=3).map("".join),
    st.lists(st.just("a")),
)


@same_folder
@given(
    st.lists(
        st.dictionaries(st.sampled_from("ab"), VALUES, min_size=1) | st.just("no object"),
        max_size=9,
    ),
    st.booleans(),
)
def test_json_lines_are_read_as_if_at_once(tmp_path: Path, rows: list, is_array: bool) -> None:
    text = json.dumps(rows) if is_array else "\n".join(map(json.dumps, rows))
    in_pieces, at_once = both(_write(tmp_path, "x.jsonl", text.encode()))
    assert in_pieces == at_once


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-32"])
def test_other_encodings_are_told_as_before(tmp_path: Path, encoding: str) -> None:
    text = "text,label\n" + "der Bär aß Öl und Käse für den König,süß\n" * 20
    in_pieces, at_once = both(_write(tmp_path, "x.csv", text.encode(encoding)))
    assert in_pieces == at_once
    assert isinstance(in_pieces, tuple)
    assert f"read as {encoding} (not UTF-8)" in in_pieces[2]


@pytest.mark.parametrize(
    "data", [b"a,b\n1\0,2\n", b"\x1f\x8bbroken", b" \n\n ", "\u2003\n".encode()]
)
def test_what_is_no_table_is_told_as_before(tmp_path: Path, data: bytes) -> None:
    in_pieces, at_once = both(_write(tmp_path, "x.csv", data))
    assert in_pieces == at_once
    assert isinstance(in_pieces[0], Fault)  # type: ignore[index]


def test_a_damaged_gzip_file_is_told_as_before(tmp_path: Path) -> None:
    packed = gzip.compress(b"text,label\n" + b"a,b\n" * 1000)
    for name, data in (("cut.csv.gz", packed[:-20]), ("plain.csv.gz", b"text,label\na,b\n")):
        (tmp_path / name).write_bytes(data)
        in_pieces, at_once = both(tmp_path / name)
        assert in_pieces == at_once


def test_short_files_are_read_at_once(tmp_path: Path) -> None:
    path = _write(tmp_path, "x.csv", b"text,label\na,b\n")
    assert open_long_text(path, "x.csv", is_compressed=False) is None


def test_a_pipe_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_limits_away(monkeypatch)
    path = tmp_path / "x.csv.gz"
    os.mkfifo(path)
    writer = threading.Thread(
        target=path.write_bytes, args=(gzip.compress(b"text,label\na,b\n"),), daemon=True
    )
    writer.start()
    assert read_table(path).column("text") == ["a"]
    writer.join()


def test_a_file_that_changes_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_limits_away(monkeypatch)
    path = _write(tmp_path, "x.csv", b"text,label\na,b\n")
    text = open_long_text(path, "x.csv", is_compressed=False)
    assert isinstance(text, LongText)
    path.write_bytes(b"text,label\n\xff\xfe,b\n")
    with pytest.raises(DataError, match="changed while it was read"):
        list(text.lines())


ARRAYS = [
    pa.array(["a", None, "é"]), pa.array([1, None]), pa.array([["a"], [], None]), pa.nulls(3),
    pa.array([{"k": 1}, None]), pa.array([], pa.string()), pa.array([True, None]).slice(1),
]  # fmt: skip


@pytest.mark.parametrize("limit", [0, 20, 1 << 20])
def test_arrays_come_back_as_they_were(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.data._spill._BYTES_IN_MEMORY", limit)
    store = ArrayStore()
    for array in ARRAYS:
        store.add(array)
    assert len(store) == len(ARRAYS)
    for before, after in zip(ARRAYS, store.finish(), strict=True):
        assert after.type == before.type
        assert after.to_pylist() == before.to_pylist()


def test_nothing_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tunesmith.data._spill._BYTES_IN_MEMORY", 0)

    def arrays() -> Iterator[pa.Array]:
        yield pa.array(["a"])
        assert not list(tmp_path.iterdir())  # it has no name from the beginning
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spilled_column(arrays(), pa.string())
    column = spilled_column([pa.array(["a"]), pa.array(["b"])], pa.string())
    assert column.to_pylist() == ["a", "b"]
    assert not list(tmp_path.iterdir())


def test_pages_that_are_forgotten_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.data._spill._BYTES_IN_MEMORY", 0)
    column = spilled_column((pa.array([f"{n}"] * 5000) for n in range(5)), pa.string())
    before = column.to_pylist()
    forget_pages()
    assert column.to_pylist() == before
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("mmap.MADV_DONTNEED")
        forget_pages()


def full_disk() -> BinaryIO:
    return Path("/dev/full").open("r+b", buffering=0)


def test_a_full_disk_is_an_error_that_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr("tunesmith.data._spill._BYTES_IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", full_disk)
    with pytest.raises(OutputError, match="No space left") as caught:
        spilled_column([pa.array(["a" * 10_000])], pa.string())
    assert "TMPDIR" in caught.value.faults[0].mend
