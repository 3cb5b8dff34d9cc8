"""`tunesmith evaluate`, `info` and `doctor`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from tiny import labelled_rows

from tunesmith.cli._output import candidates_table
from tunesmith.types import Estimate

from .conftest import Invoke, write_rows


def test_evaluate(invoke: Invoke, small: Path) -> None:
    result = invoke("evaluate", small / "run", small / "topics.csv")
    assert result.code == 0
    assert "accuracy" in result.out
    assert "precision" in result.out
    assert "90 rows; intervals at 95%" in result.out


def test_evaluate_as_json(invoke: Invoke, small: Path) -> None:
    result = invoke("evaluate", small / "run" / "bundle", small / "topics.csv", "--json")
    values = json.loads(result.out)
    metrics = values["metrics"]
    assert values["num_examples"] == metrics["num_examples"] == 90
    for name in ("accuracy", "macro_f1", "log_loss"):
        figure = metrics[name]
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert metrics["labels"].keys() == {"login", "money", "parcel"}
    wanted = {"precision", "recall", "f1", "support", "roc_auc", "pr_auc"}
    assert metrics["labels"]["money"].keys() == wanted
    assert values["headline"].endswith("of them were trained on")
    assert set(values["sections"]) >= {"slices", "robustness"}
    assert ("errors" in values["sections"]) == (metrics["accuracy"]["value"] < 1)


def test_evaluate_on_labels_that_are_not_known(invoke: Invoke, small: Path) -> None:
    write_rows(Path("x.csv"), [*labelled_rows(9), ("greetings", "martian")])
    result = invoke("evaluate", small / "run", "x.csv")
    assert result.code == 2
    assert "labels that the model does not know: 'martian'" in result.err
    missing = invoke("evaluate", small / "run", "x.csv", "--target", "topik")
    assert (missing.code, "did you mean 'topic'?" in missing.err) == (2, True)


def test_info(invoke: Invoke, small: Path) -> None:
    result = invoke("info", small / "run")
    lines = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert lines["bundle"] == str(small / "run" / "bundle")
    assert lines["task"] == "text-classification"
    assert lines["labels"] == "3: login, money, parcel"
    assert lines["accuracy"].endswith(") on 10 test rows")


def test_info_as_json(invoke: Invoke, small: Path) -> None:
    values = json.loads(invoke("info", small / "run", "--json").out)
    assert values["bundle"] == str(small / "run" / "bundle")
    assert values["data"]["source"] == "topics.csv"
    assert "model/model.safetensors" in values["files"]


def test_doctor(invoke: Invoke) -> None:
    result = invoke("doctor")
    assert result.code == 0
    for fact in ("tunesmith", "cores", "fp32 matrix rate", "GFLOP/s", "[train]", "hub"):
        assert fact in result.out


def test_doctor_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['tunesmith', *sys.argv[1:]]\n"
        "from tunesmith.cli import main; main()"
    )
    start = [sys.executable, "-c", code]
    shown = subprocess.run([*start, "doctor", "--json"], capture_output=True, check=True)
    machine = json.loads(shown.stdout)
    assert machine["extras_missing"] == {"train": ["torch"], "serve": []}
    assert machine["precision"] is None
    Path("x.csv").touch()
    refused = subprocess.run([*start, "train", "x.csv"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr == "error: torch not installed\n  → pip install 'tunesmith[train]'\n"


def test_info_prints_the_card(invoke: Invoke, small: Path) -> None:
    card = (small / "run" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert invoke("info", small / "run", "--card").out == card
    assert json.loads(invoke("info", small / "run", "--card", "--json").out)["card"] == card


def test_figures_of_a_perfect_model_fit_into_eighty_columns() -> None:
    figures = {name: Estimate(1.0, 0.722, 1.0) for name in ("accuracy", "macro_f1")}
    table = candidates_table([("frozen encoder + linear head", figures, 10.5)], list(figures))
    shown = io.StringIO()
    Console(file=shown, width=80).print(table)
    assert "frozen encoder + linear head  100 % (72.2–100)" in shown.getvalue()
    assert "10.5" in shown.getvalue()
