"""Files of every kind, folders, standard input, and what can be wrong with them."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import types
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunesmith.data import choose_columns, read_table, require_present
from tunesmith.errors import DataError

CSV = "text,label\nhello there,a\ngood bye,b\n"
LABEL = {"names": ["bad", "good"], "_type": "ClassLabel"}


def save_dataset(folder: Path, columns: dict[str, list], features: dict, shards: int = 1) -> None:
    """The layout of `datasets.Dataset.save_to_disk`."""
    folder.mkdir(parents=True)
    table = pa.table(columns)
    size = -(-table.num_rows // shards)
    names = [f"data-{n:05d}-of-{shards:05d}.arrow" for n in range(shards)]
    for number, name in enumerate(names):
        part = table.slice(number * size, size)
        with pa.ipc.new_stream(str(folder / name), part.schema) as writer:
            writer.write_table(part)
    state = {"_data_files": [{"filename": name} for name in names], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


def test_gzip(make_file) -> None:
    assert read_table(make_file("x.csv.gz", gzip.compress(CSV.encode()))).num_rows == 2
    lines = gzip.compress(b'{"text": "a"}\n')
    assert read_table(make_file("x.jsonl.gz", lines)).num_rows == 1


def test_a_file_can_be_asked_for_before_it_is_read(make_file) -> None:
    file = make_file("x.csv", CSV)
    rest = ("-", "no/such/*.csv", "sqlite:///no.db?table=t", "hf://datasets/a/b", None)
    require_present(file, str(file), file.parent, *rest)
    for absent in (file.with_name("y.csv"), str(file.with_name("y.xlsx")) + "?sheet=Rows"):
        with pytest.raises(DataError, match="no such file"):
            require_present(file, absent)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(CSV.encode() * 100)[:-20], "ends too early"),
        (CSV.encode(), "is not a gzip file"),
        (gzip.compress(CSV.encode())[:10] + b"\xff" * 40, "is not a gzip file, or is damaged"),
    ],
    ids=["cut", "no gzip", "spoilt"],  # gzip writes the time, and every process must say the same
)
def test_damaged_gzip(make_file, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(make_file("x.csv.gz", data))


def test_parquet(tmp_path: Path) -> None:
    folder = tmp_path / "year=2024"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["a", None], "label": [[1], []]}), folder / "x.parquet")
    table = read_table(folder / "x.parquet")
    assert table.column_names == ["text", "label"]
    assert table.column("label") == [[1], []]


def test_parquet_with_label_names(tmp_path: Path) -> None:
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": LABEL}}})}
    table = pa.table({"text": ["a", "b"], "label": [1, -1]}).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "x.parquet")
    read = read_table(tmp_path / "x.parquet")
    assert read.column("label") == ["good", None]
    assert read.notes == ("column 'label' is read by the label names in the file",)


def test_parquet_faults(make_file, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a Parquet file"):
        read_table(make_file("x.parquet", CSV))
    with pytest.raises(DataError, match="the file is empty"):
        read_table(make_file("y.parquet", ""))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "z.parquet")
    with pytest.raises(DataError, match="there are no rows"):
        read_table(tmp_path / "z.parquet")


def test_workbook(make_workbook) -> None:
    cells = [[" text ", "label", 2024], ["hello", 1, True], ["there", 2.5, None], [None] * 3]
    path = make_workbook("x.xlsx", {"Empty": [], "Data": cells, "More": [["a"], ["b"]]})
    table = read_table(path)
    assert table.column_names == ["text", "label", "2024"]
    assert table.column("text") == ["hello", "there"]
    assert table.column("label") == [1.0, 2.5]
    assert table.column("2024") == [True, None]
    assert table.notes == (
        f"sheet 'Data' is read; \"{path}?sheet=More\" reads another",
        "white space around the column name 'text' was removed",
    )
    assert table.stripped == ("text",)
    assert read_table(f"{path}?sheet=More").column("a") == ["b"]


def test_a_workbook_that_begins_with_notes_names_its_tables(make_workbook) -> None:
    rows = [["text", "label"], ["hello", "x"], ["there", "y"]]
    path = make_workbook("x.xlsx", {"Read me": [["Some notes"], ["and more"]], "Rows": rows})
    with pytest.raises(DataError, match="'Read me' holds no table") as caught:
        read_table(path)
    assert f'"{path}?sheet=Rows"' in caught.value.faults[0].mend
    assert read_table(f"{path}?sheet=Rows").column("label") == ["x", "y"]
    with pytest.raises(DataError, match=r"there is no sheet 'rows'\n  → did you mean 'Rows'"):
        read_table(f"{path}?sheet=rows")


def test_where_columns_are_missing_the_sheet_that_was_read_is_told(make_workbook) -> None:
    rows = [["text", "label"], ["hello", "x"], ["there", "y"]]
    table = read_table(make_workbook("x.xlsx", {"Key": [["a", "b"], [1, 2]], "Rows": rows}))
    with pytest.raises(DataError, match=r"sheet 'Key' is read; .*x.xlsx\?sheet=Rows"):
        choose_columns(table, target="label")


def test_workbook_faults(make_workbook, make_file) -> None:
    with pytest.raises(DataError, match="all sheets are empty"):
        read_table(make_workbook("a.xlsx", {"One": []}))
    with pytest.raises(DataError, match="no rows below"):
        read_table(make_workbook("b.xlsx", {"One": [["text", "label"]]}))
    with pytest.raises(DataError, match="occur more than once"):
        read_table(make_workbook("c.xlsx", {"One": [["a", "a"], [1, 2]]}))
    with pytest.raises(DataError, match="is not a workbook"):
        read_table(make_file("d.xlsx", CSV))


def test_saved_dataset(tmp_path: Path) -> None:
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": LABEL,
        "tags": {"feature": LABEL, "_type": "Sequence"},
        "old": [LABEL],
    }
    columns = {
        "text": ["a", "b", "c"],
        "label": [0, 1, -1],
        "tags": [[0, 1], [], None],
        "old": [[1], [], [0]],
    }
    save_dataset(tmp_path / "saved", columns, features, shards=2)
    table = read_table(tmp_path / "saved")
    assert table.column("text") == ["a", "b", "c"]
    assert table.column("label") == ["bad", "good", None]
    assert table.column("tags") == [["bad", "good"], [], None]
    assert table.column("old") == [["good"], [], ["bad"]]
    assert table.notes[0] == "read as a saved dataset"


def test_saved_dataset_faults(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    save_dataset(folder, {"text": ["a"], "label": [5]}, {"label": LABEL})
    with pytest.raises(DataError, match="holds 5, and its labels are numbered 0 to 1"):
        read_table(folder)
    shard = folder / "data-00000-of-00001.arrow"
    shard.write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not an Arrow file"):
        read_table(folder)
    shard.unlink()
    with pytest.raises(DataError, match="data files are missing"):
        read_table(folder)
    (folder / "state.json").write_text('{"_indices_data_files": [1], "_data_files": []}')
    with pytest.raises(DataError, match="old version"):
        read_table(folder)
    for content, message in [("{}", "names no data files"), ("{", "not JSON"), ("3", "an object")]:
        (folder / "state.json").write_text(content)
        with pytest.raises(DataError, match=message):
            read_table(folder)


def test_saved_dataset_cannot_point_outside(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    save_dataset(folder, {"text": ["a"]}, {})
    (folder / "data-00000-of-00001.arrow").rename(tmp_path / "secret.arrow")
    state = {"_data_files": [{"filename": "../secret.arrow"}]}
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match="data files are missing"):
        read_table(folder)


def test_saved_dataset_of_several_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save_dataset(tmp_path / "all" / split, {"text": ["a"]}, {})
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(DataError, match="several splits") as caught:
        read_table(tmp_path / "all")
    assert f"{tmp_path}/all/test, {tmp_path}/all/train" in str(caught.value)


def test_folder_with_one_file(make_file, tmp_path: Path) -> None:
    make_file("repo/data/train.csv", CSV)
    make_file("repo/README.md", "# data")
    make_file("repo/LICENSE.txt", "none")
    make_file("repo/.git/x.csv", CSV)
    make_file("repo/dataset_infos.json", "{}")
    table = read_table(tmp_path / "repo")
    assert table.num_rows == 2
    assert table.source.endswith("repo/data/train.csv")
    assert table.notes == ("read train.csv",)


def test_other_folders(make_file, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is a folder and holds no data file"):
        read_table(tmp_path / "empty")
    make_file("two/train.csv", CSV)
    make_file("two/test.csv", CSV)
    with pytest.raises(DataError, match="is a folder of 2 data files") as caught:
        read_table(tmp_path / "two")
    assert "two/test.csv" in caught.value.faults[0].mend


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (CSV.encode(), ["text", "label"]),
        (b'\xef\xbb\xbf {"text": "a", "n": 1}\n', ["text", "n"]),
        (b'[{"text": "a"}]', ["text"]),
    ],
)
def test_standard_input(monkeypatch, data: bytes, names: list[str]) -> None:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))
    table = read_table("-")
    assert table.column_names == names
    assert table.source == "standard input"


def test_empty_standard_input(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"")))
    with pytest.raises(DataError, match="standard input: the file is empty"):
        read_table("-")


def test_no_such_file(make_file, tmp_path: Path) -> None:
    make_file("tickets.csv", CSV)
    with pytest.raises(DataError, match="no such file") as caught:
        read_table(tmp_path / "tikets.csv")
    assert caught.value.faults[0].mend == "did you mean 'tickets.csv'?"
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "zzz.parquet")
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        read_table(tmp_path / "nowhere" / "x.csv")


@pytest.mark.parametrize("name", ["x.docx", "x", "x.gz", "x.parquet.gz", "x.pkl"])
def test_unknown_suffix_lists_what_is_read(make_file, name: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(make_file(name, CSV))
    assert "what is read: csv, tsv" in str(caught.value)


def test_suffix_in_capitals(make_file) -> None:
    assert read_table(make_file("X.CSV", CSV)).num_rows == 2


def test_home_folder(make_file, monkeypatch, tmp_path: Path) -> None:
    make_file("x.csv", CSV)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_table("~/x.csv").source == "~/x.csv"


def test_permission_denied(make_file, monkeypatch) -> None:
    path = make_file("x.csv", CSV)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"x\.csv: may not be read: permission denied"):
        read_table(path)


def test_other_faults_of_the_disk(make_file, monkeypatch) -> None:
    path = make_file("x.csv", CSV)

    def fail(self: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DataError, match=r"x\.csv: cannot be read: Input/output error"):
        read_table(path)


@pytest.mark.skipif(os.name != "posix", reason="needs file modes")
def test_source_is_left_alone(make_file) -> None:
    path = make_file("x.csv", CSV)
    path.chmod(0o444)
    before = path.stat()
    read_table(path)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_mode) == (
        before.st_mtime_ns,
        before.st_size,
        before.st_mode,
    )
    assert [child.name for child in path.parent.iterdir()] == ["x.csv"]
