"""`tunesmith train`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from tiny import labelled_rows

from .conftest import QUICK, Invoke, write_rows


def test_from_a_file_to_a_bundle(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "a run"),
        *("--epochs", 1, "--method", "full", *QUICK),
    )
    assert result.code == 0, result.err
    rows = ("majority class", "TF-IDF + linear", "frozen encoder + linear head", "fine-tuned model")
    assert all(name in result.out for name in ("accuracy", "macro-f1", "seconds", *rows))
    assert "on 9 unseen rows" in result.out
    assert "report  a run/report.html\nbundle  a run/bundle\n" in result.out
    assert "tunesmith serve 'a run/bundle'" in result.out
    assert "target column: 'topic' (guessed; --target chooses another)" in result.err
    assert "text column: 'text' (guessed; --text chooses another)" in result.err
    assert "mean pooling: bert reads in both directions" in result.err
    assert "1 epoch," in result.err
    written = {path.name for path in Path("a run").iterdir()}
    assert written == {
        *("bundle", "config.yaml", "metrics.jsonl", "pinned.json", "report.html", "report.json")
    }


def test_json_is_one_object(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "run"),
        *("--method", "probe", "--json", *QUICK),
    )
    assert result.code == 0, result.err
    values = json.loads(result.out)
    assert values.keys() == {"bundle", "run", "metrics", "seconds"}
    assert values["bundle"] == "run/bundle"
    assert values["metrics"]["accuracy"].keys() == {"value", "low", "high"}
    assert "frozen encoder" in result.err


def test_settings_come_from_file_then_set_then_flags(invoke: Invoke, small: Path) -> None:
    Path("c.yaml").write_text(
        "data:\n  target: topic\n"
        "training:\n  method: full\n  epochs: 7\n  batch_size: 64\n"
        "seed: 1\n"
    )
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "run", *QUICK),
        *("--config", "c.yaml", "--set", "training.epochs=5", "--set", "training.method=full"),
        *("--method", "probe", "--seed", 3),
    )
    assert result.code == 0, result.err
    assert "target column" not in result.err
    used = yaml.safe_load(Path("run/config.yaml").read_text())
    assert used["training"]["batch_size"] == 64
    assert used["training"]["epochs"] == 5
    assert used["training"]["method"] == "probe"
    assert used["seed"] == 3


def test_rows_with_gaps_may_be_left_out(invoke: Invoke, small: Path) -> None:
    write_rows(Path("gaps.csv"), [*labelled_rows(60), ("", "money"), ("where is it", "")])
    result = invoke(
        *("train", "gaps.csv", "--drop-missing", "--base", small / "base", "--output", "run"),
        *("--method", "probe", *QUICK),
    )
    assert result.code == 0, result.err
    assert "left out 2 of 62 rows with missing values: rows 61, 62" in result.err


def test_without_an_output_the_run_is_named_after_the_file(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--method", "probe", *QUICK),
        "--json",
    )
    assert json.loads(result.out)["run"].startswith("runs/topics-")


def test_resume_takes_no_other_settings(invoke: Invoke, small: Path) -> None:
    result = invoke("train", "x.csv", "--epochs", 3, "--resume", small / "run")
    assert result.code == 2
    assert "given as well: data.source, training.epochs" in result.err
    assert f"tunesmith train --resume {small / 'run'}" in result.err


def test_nothing_to_resume(invoke: Invoke, small: Path) -> None:
    finished = invoke("train", "--resume", small / "run")
    assert (finished.code, "this run has finished" in finished.err) == (2, True)
    none = invoke("train", "--resume", small)
    assert (none.code, "is no run that can be resumed" in none.err) == (2, True)
