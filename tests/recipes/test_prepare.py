"""The same rows give the same task and splits, in whatever format they come."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import labelled_rows

from tunesmith.config import DataConfig
from tunesmith.recipes._prepare import PreparedData, prepare_data

from .conftest import Notes, write_rows

ROWS = labelled_rows(60)
NUMBERS = {"parcel": 0, "money": 1, "login": 2}


def _csv(folder: Path) -> Path:
    return write_rows(folder / "x.csv", ROWS)


def _tsv(folder: Path) -> Path:
    file = folder / "x.tsv"
    file.write_text(_csv(folder).read_text().replace(",", "\t"))
    return file


def _semicolons(folder: Path) -> Path:
    file = folder / "y.csv"
    file.write_bytes(b"\xef\xbb\xbf" + _csv(folder).read_bytes().replace(b",", b";"))
    return file


def _jsonl(folder: Path) -> Path:
    file = folder / "x.jsonl"
    file.write_text("\n".join(json.dumps({"text": text, "topic": topic}) for text, topic in ROWS))
    return file


def _compressed(folder: Path) -> Path:
    file = folder / "x.jsonl.gz"
    file.write_bytes(gzip.compress(_jsonl(folder).read_bytes()))
    return file


def _arrow() -> pa.Table:
    texts, topics = zip(*ROWS, strict=True)
    return pa.table({"text": texts, "topic": topics})


def _parquet(folder: Path) -> Path:
    pq.write_table(_arrow(), folder / "x.parquet")
    return folder / "x.parquet"


def _saved_dataset(folder: Path) -> Path:
    saved = folder / "saved"
    saved.mkdir()
    table = _arrow()
    with (
        pa.OSFile(str(saved / "d.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as w,
    ):
        w.write_table(table)
    (saved / "state.json").write_text(json.dumps({"_data_files": [{"filename": "d.arrow"}]}))
    (saved / "dataset_info.json").write_text("{}")
    return saved


def _prepare(source: Path, **settings: object) -> PreparedData:
    config = DataConfig.model_validate({"source": str(source), **settings})
    return prepare_data(config, 42, Notes())


@pytest.mark.parametrize("make", [_tsv, _semicolons, _jsonl, _compressed, _parquet, _saved_dataset])
def test_formats(make: Callable[[Path], Path], tmp_path: Path) -> None:
    expected, found = _prepare(_csv(tmp_path)), _prepare(make(tmp_path))
    assert found.facts["fingerprint"] == expected.facts["fingerprint"]
    assert found.task == expected.task
    assert found.test.columns == expected.test.columns


def test_a_workbook(tmp_path: Path, make_workbook: Callable[..., Path]) -> None:
    file = make_workbook("x.xlsx", {"Sheet": [("text", "topic"), *ROWS]})
    assert _prepare(file).facts["fingerprint"] == _prepare(_csv(tmp_path)).facts["fingerprint"]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([NUMBERS[topic] for _, topic in ROWS], ("0", "1", "2")),
        ([float(NUMBERS[topic]) for _, topic in ROWS], ("0", "1", "2")),
        ([topic == "money" for _, topic in ROWS], ("false", "true")),
    ],
)
def test_labels_of_every_kind(
    values: list[object], labels: tuple[str, ...], tmp_path: Path
) -> None:
    texts = [text for text, _ in ROWS]
    pq.write_table(pa.table({"text": texts, "topic": values}), tmp_path / "x.parquet")
    rows = [(text, str(value)) for text, value in zip(texts, values, strict=True)]
    for file in (tmp_path / "x.parquet", write_rows(tmp_path / "x.csv", rows)):
        assert _prepare(file).task.labels == labels


def test_encodings_are_said(tmp_path: Path) -> None:
    french = {
        "colis": "Où est mon colis n°{} ? Il devait être livré à Orléans",
        "argent": "Je n'ai pas été remboursé : {} euros, prélevés deux fois en février",
    }
    rows = [(text.format(i), topic) for i in range(30) for topic, text in french.items()]
    rows = [(text.replace(",", " "), topic) for text, topic in rows]
    file = write_rows(tmp_path / "x.csv", rows)
    file.write_bytes(file.read_text(encoding="utf-8").encode("cp1252"))
    notes = Notes()
    data = prepare_data(DataConfig(source=str(file)), 42, notes)
    assert notes.said[0] == "read as cp1252 (not UTF-8)"
    assert set(data.split.train.columns[0]) < {text for text, _ in rows}


def test_guesses_are_said_and_kept(tmp_path: Path) -> None:
    notes = Notes()
    config = DataConfig(source=str(_csv(tmp_path)), split="stratified", near_duplicates="apart")
    data = prepare_data(config, 42, notes)
    guesses = [
        "target column: 'topic' (guessed; --target chooses another)",
        "text column: 'text' (guessed; --text chooses another)",
    ]
    assert notes.said == [*guesses, "3 labels; 39 train, 15 validation, 6 test rows"]
    assert data.facts["notes"] == guesses


def test_many_rows_need_no_more_than_500_for_validation(tmp_path: Path) -> None:
    rows = [(f"{text} {number}", topic) for number in range(100) for text, topic in ROWS]
    file = write_rows(tmp_path / "x.csv", rows)
    config = DataConfig(source=str(file), split="stratified", near_duplicates="apart")
    split = prepare_data(config, 42, Notes()).split
    assert (len(split.validation), len(split.test or ())) == (500, 600)
