"""Several files as one table."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import Part, build_dataset, choose_columns, read_table
from tunesmith.data._many import one_column
from tunesmith.errors import DataError


def test_rows_one_after_another(make_file, tmp_path: Path) -> None:
    make_file("data/b.csv", "label,text\nx,third row\n")
    make_file("data/a.csv", "text,label\nfirst row,x\nsecond row,y\n")
    make_file("data/.hidden.csv", "text,label\nno,x\n")
    table = read_table(f"{tmp_path}/data/*.csv")
    assert table.column_names == ["text", "label"]
    assert table.column("text") == ["first row", "second row", "third row"]
    assert table.source == f"{tmp_path}/data/*.csv"
    assert table.notes == ("2 files: a.csv rows 1–2, b.csv row 3",)
    assert table.parts == (
        Part("a.csv", 2, f"{tmp_path}/data/a.csv"),
        Part("b.csv", 1, f"{tmp_path}/data/b.csv"),
    )
    assert read_table(tmp_path / "data" / "*.csv").num_rows == 3


def test_faults_of_rows_name_the_file(make_file, tmp_path: Path) -> None:
    make_file("a.csv", "text,label\nfirst row,x\nsecond row,y\n")
    make_file("b.csv", "text,label\nthird row,x\n,y\n")
    table = read_table(f"{tmp_path}/*.csv")
    with pytest.raises(DataError) as caught:
        build_dataset(table, choose_columns(table, text=["text"], target="label"))
    assert caught.value.faults[0].where == f"{tmp_path}/*.csv, row 4 (b.csv row 2)"
    assert table.files_of([1, 2, 3]) == "a.csv rows 1, 2; b.csv row 1"
    assert table.files_of([1, 2, 3], 2) == "a.csv rows 1, 2 …"


def test_a_single_match_is_that_file(make_file, tmp_path: Path) -> None:
    path = make_file("a.csv", "text,label\nfirst,x\n")
    table = read_table(f"{tmp_path}/*.csv")
    assert (table.source, table.parts, table.notes) == (str(path), (), ("read a.csv",))


def test_folders_below(make_file, tmp_path: Path) -> None:
    make_file("x/1/a.jsonl", '{"text": "one"}')
    make_file("x/2/a.jsonl", '{"text": "two"}')
    assert read_table(f"{tmp_path}/x/**/*.jsonl").notes == (
        "2 files: 1/a.jsonl row 1, 2/a.jsonl row 2",
    )
    assert read_table(f"{tmp_path}/x/[12]/a.jsonl").column("text") == ["one", "two"]


def test_a_name_with_brackets_is_a_file(make_file) -> None:
    assert read_table(str(make_file("a[1].csv", "text,label\nfirst,x\n"))).num_rows == 1


def test_nothing_matches(make_file, tmp_path: Path) -> None:
    make_file("data/a.tsv", "text\nx\n")
    (tmp_path / "empty").mkdir()
    for pattern, message in [
        ("data/*.csv", r"data/\*.csv: no file matches\n  → the folder holds 'a.tsv'"),
        ("empty/*", "no file matches\n  → the folder is empty"),
        ("none/*.csv", "the folder .*none' does not exist"),
        ("*", r"matches folders only\n  → name what is in them: .*/\*/\*"),
    ]:
        with pytest.raises(DataError, match=message):
            read_table(f"{tmp_path}/{pattern}")


def test_columns_that_differ_are_named_with_their_file(make_file, tmp_path: Path) -> None:
    for name in "abc":
        make_file(f"{name}.csv", "text,label\nfirst,x\n")
    make_file("d.csv", "text,lable\nfirst,x\n")
    make_file("e.csv", "text,label,id\nfirst,x,1\n")
    with pytest.raises(DataError) as caught:
        read_table(f"{tmp_path}/*.csv")
    first, second = caught.value.faults
    assert first.where == f"{tmp_path}/d.csv"
    assert first.what.startswith("lacks the column 'label' and has the column 'lable', which")
    assert first.mend.startswith("did you mean 'lable'? the columns of")
    assert second.where == f"{tmp_path}/e.csv"
    assert second.what.startswith("has the column 'id', which")


def test_many_files_that_differ(make_file, tmp_path: Path) -> None:
    for number in range(20):
        make_file(f"{number:02}.csv", f"text,{'label' if number < 11 else 'l'}\nfirst,x\n")
    with pytest.raises(DataError) as caught:
        read_table(f"{tmp_path}/*.csv")
    assert len(caught.value.faults) == 5
    assert caught.value.faults[-1].mend.startswith("4 more files differ; ")


def test_broken_files_are_reported_together(make_file, tmp_path: Path) -> None:
    make_file("a.csv", "text,label\nfirst,x\n")
    make_file("b.csv", "")
    make_file("c.csv", "text,label\nfirst\n")
    with pytest.raises(DataError) as caught:
        read_table(f"{tmp_path}/*.csv")
    assert [fault.where for fault in caught.value.faults] == [
        f"{tmp_path}/b.csv",
        f"{tmp_path}/c.csv, row 1 (line 2)",
    ]


def test_types_that_differ_become_text(make_file, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one"], "label": [1], "n": [None]}), tmp_path / "a.parquet")
    make_file("b.jsonl", '{"text": "two", "label": "x", "n": 5}\n')
    table = read_table(f"{tmp_path}/*.*")
    assert table.column("label") == ["1", "x"]
    assert table.column("n") == [None, 5]
    assert table.notes[-1] == "read as text, for the files differ in its type: the column 'label'"


def test_notes_say_which_file(make_file, tmp_path: Path) -> None:
    make_file("a.csv", "text;label\nfirst;x\n")
    make_file("b.csv", "text,label\nfirst,x\n")
    assert read_table(f"{tmp_path}/*.csv").notes[1:] == (
        "a.csv: columns are separated by semicolons",
    )


@given(st.lists(st.lists(st.integers(-9, 9) | st.none(), max_size=4), min_size=1, max_size=4))
def test_alike_values_stay_as_they_are(chunks) -> None:
    arrays = [pa.array(chunk) for chunk in chunks]
    assert one_column(arrays).to_pylist() == [value for chunk in chunks for value in chunk]


@given(st.lists(st.sampled_from([[1, None], ["a"], [["b", "c"]], [2.5], []]), min_size=1))
def test_no_value_is_lost(chunks) -> None:
    column = one_column([pa.array(chunk) for chunk in chunks])
    given_values = [value for chunk in chunks for value in chunk]
    assert len(column) == len(given_values)
    for value, read in zip(given_values, column.to_pylist(), strict=True):
        assert (value is None) == (read is None)
        if value is not None:
            assert json.dumps(value).strip('[]"') in json.dumps(read)
