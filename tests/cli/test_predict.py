"""`tunesmith predict`."""

from __future__ import annotations

import csv
import io
import json
import sys
import types
from pathlib import Path

import pytest

from .conftest import Invoke


def test_a_file(invoke: Invoke, small: Path) -> None:
    result = invoke("predict", small / "run", small / "topics.csv", "-o", "out.csv")
    assert (result.code, result.out) == (0, "90 rows written to out.csv\n")
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "topic", "label", "probability"]
    assert {row["label"] for row in rows} <= {"login", "money", "parcel"}
    assert all(0 < float(row["probability"]) <= 1 for row in rows)


def test_standard_input(invoke: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'{"text": "where is it", "label": "x"}\n{"text": " ", "label": "y"}\n'
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(lines)))
    result = invoke("predict", small / "run", "-", "-o", "out.jsonl", "--json")
    assert result.code == 0
    assert json.loads(result.out) == {"output": "out.jsonl", "num_rows": 2}
    assert "1 row has no text and no prediction" in result.err
    first, second = map(json.loads, Path("out.jsonl").read_text().splitlines())
    assert first.keys() == {"text", "input_label", "label", "probability"}
    assert (first["input_label"], second["label"]) == ("x", None)


def test_an_existing_file_is_kept(invoke: Invoke, small: Path) -> None:
    Path("out.csv").write_text("mine")
    refused = invoke("predict", small / "run", small / "topics.csv", "-o", "out.csv")
    assert (refused.code, "--overwrite" in refused.err) == (2, True)
    assert Path("out.csv").read_text() == "mine"
    assert invoke(
        *("predict", small / "run", small / "topics.csv", "-o", "out.csv", "--overwrite")
    ).code == 0  # fmt: skip
    assert Path("out.csv").read_text().startswith("text,topic,label,probability\n")


@pytest.mark.parametrize("name", ["out.txt", "out", "-"])
def test_an_unknown_suffix_is_found_before_work_starts(
    invoke: Invoke, small: Path, name: str
) -> None:
    result = invoke("predict", small / "run", small / "topics.csv", "-o", name)
    assert result.code == 2
    assert ".csv, .tsv, .jsonl or .parquet" in result.err
    assert "predicting" not in result.err


def test_a_wrong_column(invoke: Invoke, small: Path) -> None:
    Path("x.csv").write_text("txet\nhello\n")
    result = invoke("predict", small / "run", "x.csv", "-o", "out.csv")
    assert result.code == 2
    assert "column 'text' does not exist" in result.err
    assert "did you mean 'txet'?" in result.err
    assert not Path("out.csv").exists()


def test_what_the_model_was_not_given_is_refused(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("predict", small / "run", small / "topics.csv", "-o", "out.csv"),
        *("--precision", "0.95", "--coverage", "0.9", "--scope"),
    )
    assert result.code == 2
    for option in ("precision", "coverage", "scope"):
        assert f"{option}: the model was not given this when it was trained" in result.err
    assert not Path("out.csv").exists()


def test_unsure_answers_are_marked(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("predict", small / "run", small / "topics.csv", "-o", "out.csv", "--abstain-below", "0.9")
    )
    assert result.code == 0
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "topic", "label", "probability", "abstained"]
    for row in rows:
        assert row["abstained"] == str(float(row["probability"]) < 0.9).lower()
