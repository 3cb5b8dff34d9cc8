"""`tunesmith evaluate` with expectations and a report, and `tunesmith compare`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from tiny import labelled_rows

from .conftest import Invoke, write_rows

KEPT = "metrics:\n  accuracy: {min: 0}\nlabels:\n  '*': {recall: {min: 0}}\n"
SHORT = "metrics:\n  log_loss: {max: 0}\nslices:\n  - {metric: accuracy, min: 0.8}\n"


def test_the_sentence_comes_first(invoke: Invoke, small: Path) -> None:
    result = invoke("evaluate", small / "run", small / "topics.csv")
    saved = json.loads((small / "run" / "report.json").read_text(encoding="utf-8"))
    lines = result.out.splitlines()
    assert " than TF-IDF + linear" in lines[0] or " than frozen encoder" in lines[0]
    assert "of them were trained on" in lines[0]
    if saved["better"] is False:
        assert lines.pop(1) == f"when it was trained: {saved['headline']}"
    starts = [line.split()[0] for line in lines if line.strip()]
    models = starts.index("model")
    # `small` is the probe itself, which is not held against its like.
    assert starts[models + 2 : models + 6] == ["majority", "TF-IDF", "topics", "accuracy"]
    plain = invoke("evaluate", small / "run", small / "topics.csv", "--no-baselines")
    assert "majority" not in plain.out
    for name in ("macro-roc-auc", "mcc", "brier", "balanced-accuracy"):
        assert name in result.out


def test_what_is_no_better_than_a_baseline_says_so_in_the_first_line(
    invoke: Invoke, small: Path
) -> None:
    rows = [(f"{text} {n}", "ab"[n % 2]) for n, (text, _) in enumerate(labelled_rows(80))]
    write_rows(Path("noise.csv"), rows)
    result = invoke(
        "train", "noise.csv", "--target", "topic", "--base", small / "base", "--method", "probe",
        "--output", "run", "--set", "training.precision=fp32", "--set", "data.checks=false",
    )  # fmt: skip
    assert result.code == 0, result.err
    first = result.out.splitlines()[0]
    assert "NOT significantly better than" in first or " worse than " in first
    again = invoke("evaluate", "run", "noise.csv").out.splitlines()
    assert again[1] == f"when it was trained: {first}"


def test_expectations(invoke: Invoke, small: Path) -> None:
    Path("kept.yaml").write_text(KEPT, encoding="utf-8")
    result = invoke("evaluate", small / "run", small / "topics.csv", "--expect", "kept.yaml")
    assert result.code == 0
    assert "all 4 expectations are kept" in result.out
    Path("short.yaml").write_text(SHORT, encoding="utf-8")
    arguments = ("evaluate", small / "run", small / "topics.csv", "--expect", "short.yaml")
    result = invoke(*arguments, "--junit", "out.xml")
    assert result.code == 1
    assert "short  log_loss: " in result.out
    assert "wanted at most 0" in result.out
    assert re.search(r"\b[1-9]\d* of \d+ expectations fell short", result.out)
    root = ElementTree.parse("out.xml").getroot()
    assert int(root.get("tests", 0)) > int(root.get("failures", 0)) > 0
    result = invoke(*arguments, "--json")
    values = json.loads(result.out)
    assert (result.code, values["expectations"]["kept"]) == (1, False)


def test_faulty_expectations(invoke: Invoke, small: Path) -> None:
    Path("x.yaml").write_text("metrics:\n  acuracy: {min: 0.9}\n", encoding="utf-8")
    result = invoke("evaluate", small / "run", small / "topics.csv", "--expect", "x.yaml")
    assert (result.code, result.out) == (2, "")
    assert "x.yaml: metrics.acuracy: there is no such metric" in result.err
    assert "did you mean 'accuracy'?" in result.err
    wrong = "slices:\n  - {min: 0.1, name: lenght}\nrobustness:\n  typo: {min: 0.1}\nmetrcs: {}\n"
    Path("x.yaml").write_text(wrong, encoding="utf-8")
    result = invoke("evaluate", small / "run", small / "topics.csv", "--expect", "x.yaml")
    assert (result.code, result.out) == (2, "")
    for meant in ("length", "typos", "metrics"):
        assert f"did you mean '{meant}'?" in result.err
    result = invoke("evaluate", small / "run", small / "topics.csv", "--junit", "x.xml")
    assert (result.code, "--expect" in result.err) == (2, True)
    assert not Path("x.xml").exists()


def test_a_report(invoke: Invoke, small: Path) -> None:
    arguments = ("evaluate", small / "run", small / "topics.csv", "--report", "report")
    assert invoke(*arguments).code == 0
    assert json.loads(Path("report/report.json").read_text(encoding="utf-8"))["schema_version"] == 3
    again = invoke(*arguments)
    assert (again.code, "choose another with --report" in again.err) == (2, True)


def test_the_schema(invoke: Invoke) -> None:
    result = invoke("evaluate", "--schema")
    assert result.code == 0
    assert json.loads(result.out)["title"] == "Tunesmith report.json"


def test_bad_files(invoke: Invoke, small: Path) -> None:
    Path("empty.csv").write_text("", encoding="utf-8")
    write_rows(Path("unlabelled.csv"), [("a", "b")], "text,other")
    write_rows(Path("columns.csv"), labelled_rows(9), "texts,topic")
    write_rows(Path("unseen.csv"), [*labelled_rows(9), ("greetings", "martian")])
    for name, words in {
        "empty.csv": "the file is empty",
        "unlabelled.csv": "column 'topic' does not exist",
        "columns.csv": "did you mean 'texts'?",
        "unseen.csv": "--ignore-unseen leaves such rows out",
    }.items():
        result = invoke("evaluate", small / "run", name)
        assert (result.code, result.out) == (2, "")
        assert words in result.err
    result = invoke("evaluate", small / "run", "unseen.csv", "--ignore-unseen")
    assert result.code == 0
    assert "1 row has labels that the model does not know: 'martian' (1×)" in result.err


def test_compare(invoke: Invoke, small: Path) -> None:
    arguments = ("compare", small / "run", small / "run" / "bundle", small / "topics.csv")
    result = invoke(*arguments, "--html", "page.html")
    assert result.code == 0
    assert "NOT significantly better than" in result.out.splitlines()[0]
    assert "alone gets 0 right, " in result.out
    assert "<article" in Path("page.html").read_text(encoding="utf-8")
    values = json.loads(invoke(*arguments, "--json", "--metric", "mcc").out)
    assert (values["metric"], values["num_changed"]) == ("mcc", 0)
    result = invoke(*arguments, "--metric", "f2")
    assert (result.code, "there is no metric 'f2'" in result.err) == (2, True)
    result = invoke(*arguments, "--html", "page.txt")
    assert (result.code, "end it in .html" in result.err) == (2, True)
