"""A file in, the same file with predictions out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny import labelled_rows

from tunesmith import recipes
from tunesmith.data import read_table
from tunesmith.errors import DataError, OutputError
from tunesmith.recipes import Run

from .conftest import Notes, Train, write_rows


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet", "csv.gz"])
def test_the_input_columns_are_kept(
    finished: Run, topics: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"out.{suffix}"
    predicted = recipes.predict(finished.bundle, topics, output)
    written = read_table(output)
    assert written.column_names == ["text", "topic", "label", "probability"]
    assert written.column("label") == predicted.column("label")
    for name in ("text", "topic"):
        assert written.column(name) == read_table(topics).column(name)


def test_columns_of_the_same_name_are_kept_aside(finished: Run, tmp_path: Path) -> None:
    rows = [("where is it", "a", "b", "c")]
    file = write_rows(tmp_path / "x.csv", rows, "text,label,input_label,probability")
    first = recipes.predict(finished.bundle, file, tmp_path / "y.csv")
    assert first.column_names == [
        *("text", "input_input_label", "input_label", "input_probability", "label", "probability")
    ]
    assert first.column("input_input_label") == ["a"]
    assert first.column("input_label") == ["b"]
    again = recipes.predict(finished.bundle, tmp_path / "y.csv", tmp_path / "z.csv")
    assert len(set(again.column_names)) == len(again.column_names) == 8


def test_rows_without_text_get_no_prediction(finished: Run, tmp_path: Path, notes: Notes) -> None:
    file = tmp_path / "x.csv"
    file.write_text("id,text\n1,where is it\n2,\n3,refund\n")
    table = recipes.predict(finished.bundle, file, listener=notes)
    assert [label is None for label in table.column("label")] == [False, True, False]
    assert notes.warned == ["1 row has no text and no prediction"]
    file.write_text("id,text\n1,\n")
    with pytest.raises(DataError, match="no row has text in 'text'"):
        recipes.predict(finished.bundle, file)


def test_what_is_cut_is_said(train: Train, topics: Path, notes: Notes) -> None:
    run = train({"training.method": "probe", "base.max_length": 8})
    for work in (recipes.predict, recipes.evaluate):
        notes.warned.clear()
        work(run.bundle, topics, listener=notes)
        (cut,) = [warning for warning in notes.warned if "are cut" in warning]
        assert "of 120 texts" in cut
        assert "longer than 8 tokens" in cut


def test_several_labels_a_row(train: Train, tmp_path: Path) -> None:
    rows = labelled_rows(90)
    lines = [{"text": text, "labels": [topic]} for text, topic in rows]
    file = tmp_path / "s.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    run = train({"training.method": "probe"}, source=str(file))
    recipes.predict(run.bundle, file, tmp_path / "out.jsonl")
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first["input_labels"] == [rows[0][1]]
    assert first["probabilities"].keys() == {"login", "money", "parcel"}
    assert isinstance(first["labels"], list)
    recipes.predict(run.bundle, file, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").slice(0, 1).to_pylist()[0] == first
    recipes.predict(run.bundle, file, tmp_path / "out.csv")
    [row] = read_table(tmp_path / "out.csv").arrow.slice(0, 1).to_pylist()
    assert json.loads(row["probabilities"]) == first["probabilities"]
    assert json.loads(row["labels"]) == first["labels"]


def test_the_output_is_looked_at_before_the_work(
    finished: Run, topics: Path, tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `tunesmith.recipes.predict` is the function, which hides its module of the same name.
    monkeypatch.setattr(sys.modules["tunesmith.recipes.predict"], "load", None)
    (tmp_path / "taken.csv").write_text("mine")
    for name, message in (
        ("taken.csv", "the file exists"),
        ("out.doc", "cannot tell what to write"),
    ):
        with pytest.raises(OutputError, match=message):
            recipes.predict(finished.bundle, topics, tmp_path / name)
    with pytest.raises(OutputError, match="is a folder"):
        (tmp_path / "folder.csv").mkdir()
        recipes.predict(finished.bundle, topics, tmp_path / "folder.csv", overwrite=True)
    assert (tmp_path / "taken.csv").read_text() == "mine"
