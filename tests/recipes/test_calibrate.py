"""What training fits on validation rows, and what a bundle makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import labelled_rows

import tunesmith
from tunesmith import recipes
from tunesmith.bundles import open_bundle, read_rows
from tunesmith.data import read_table
from tunesmith.errors import ConfigError
from tunesmith.recipes import Run
from tunesmith.recipes._fine_tune import decide
from tunesmith.recipes._scope import outside_texts
from tunesmith.samples import sample
from tunesmith.tasks import MultiLabelClassification, TextClassification, Wanted
from tunesmith.types import Dataset, LabelPrediction

from .conftest import Notes, Train, write_rows

PROBE = {"training.method": "probe", "data.validation_fraction": 0.4, "data.test_fraction": 0.3}


@pytest.fixture
def calibrated(train: Train, tmp_path: Path) -> Run:
    """A probe with 120 validation rows."""
    file = write_rows(tmp_path / "many.csv", labelled_rows(300))
    return train(PROBE, source=str(file))


def test_training_fits_what_is_shipped(calibrated: Run, notes: Notes) -> None:
    task = open_bundle(calibrated.folder).task
    assert isinstance(task, TextClassification)
    assert task.calibration is not None
    assert task.conformal is not None
    assert task.conformal.num_rows == calibrated.report.split_sizes["validation"]
    assert any(said.startswith("calibrated on validation rows") for said in notes.said)
    sections = calibrated.report.as_dict()["sections"]
    assert list(sections)[:4] == ["calibration", "selective", "conformal", "scope"]
    ece = sections["calibration"]["ece"]
    assert set(ece) == {"before", "after"}
    assert sections["scope"]["auroc"]["low"] <= sections["scope"]["auroc"]["value"]


def test_the_figures_are_of_calibrated_probabilities(calibrated: Run) -> None:
    log_loss = calibrated.report.as_dict()["sections"]["calibration"]["log_loss"]
    assert calibrated.metrics["log_loss"].value == pytest.approx(log_loss["after"]["value"])
    again = recipes.evaluate(
        calibrated.bundle, calibrated.bundle.path / "reference" / "held_out.parquet"
    )
    assert again.metrics["log_loss"].value == pytest.approx(
        calibrated.metrics["log_loss"].value, abs=1e-5
    )


def test_predicting_a_file(calibrated: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    file = calibrated.bundle.path / "reference" / "held_out.parquet"
    wanted = Wanted(coverage=0.9, abstain_below=0.6, scope=True)
    table = recipes.predict(calibrated.bundle, file, output, wanted=wanted)
    assert table.column_names[-5:] == [
        "label", "probability", "abstained", "label_set", "in_scope"
    ]  # fmt: skip
    first = json.loads(output.read_text().splitlines()[0])
    assert first["abstained"] == (first["probability"] < 0.6)
    assert first["label"] in first["label_set"]
    assert isinstance(first["in_scope"], bool)
    truth = read_table(file).column("topic")
    sets = table.column("label_set")
    assert np.mean([label in own for label, own in zip(truth, sets, strict=True)]) > 0.75


def test_the_python_api_answers_alike(calibrated: Run) -> None:
    model = tunesmith.load(calibrated.bundle)
    texts = ["where is the parcel", "refund the money"]
    plain = model.predict(texts)
    assert tunesmith.predict(model, texts) == plain
    assured = tunesmith.predict(calibrated.bundle, texts, coverage=0.9, scope=True)
    for before, after in zip(plain, assured, strict=True):
        assert isinstance(after, LabelPrediction)
        assert after.label == before.label  # type: ignore[union-attr]
        assert after.label_set
        assert after.abstained is None
    with pytest.raises(ConfigError, match="ask for one of"):
        tunesmith.predict(model, texts, coverage=0.77)


def test_levels_are_checked_before_work_starts(calibrated: Run, tmp_path: Path) -> None:
    wanted = Wanted(coverage=0.77)
    with pytest.raises(ConfigError, match=r"0\.77 is no level"):
        recipes.predict(calibrated.bundle, tmp_path / "absent.csv", wanted=wanted)


def test_too_few_validation_rows(finished: Run, train: Train, notes: Notes) -> None:
    run = train({"training.method": "probe"})
    assert any("12 validation rows are too few to calibrate" in said for said in notes.said)
    task = run.bundle.task
    assert set(task.as_dict()) == {"name", "fields", "labels"}
    sections = run.report.as_dict()["sections"]
    assert sections["calibration"]["ece"]["after"] is None
    assert "conformal" not in sections
    assert "scope" not in sections
    with pytest.raises(ConfigError, match="50 validation rows or more"):
        recipes.predict(run.bundle, "-", wanted=Wanted(precision=0.95))


def test_thresholds_are_chosen_after_calibration(train: Train, tmp_path: Path) -> None:
    rows = labelled_rows(300)
    file = tmp_path / "s.jsonl"
    lines = [{"text": text, "labels": [topic]} for text, topic in rows]
    file.write_text("\n".join(map(json.dumps, lines)))
    run = train(PROBE, source=str(file))
    task = run.bundle.task
    assert isinstance(task, MultiLabelClassification)
    assert task.calibration is not None
    assert task.scope is not None
    sections = run.report.as_dict()["sections"]
    assert "selective" not in sections
    assert run.metrics["macro_f1"].value > 0.6
    kept = run.folder / "rows" / "validation.parquet"
    validation = read_rows(kept, run.bundle.manifest.data["text"], "labels")
    scores = tunesmith.load(run.bundle).outputs(validation.inputs).scores
    assert scores is not None
    again = decide(replace(task, thresholds=()), validation, scores)
    assert isinstance(again, MultiLabelClassification)
    assert again.thresholds == pytest.approx(task.thresholds, abs=1e-3)


def test_the_kind_of_sets_can_be_chosen(train: Train, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "many.csv", labelled_rows(300))
    run = train({**PROBE, "evaluation.conformal": "raps"}, source=str(file))
    assert run.bundle.manifest.task["conformal"]["score"] == "raps"


def dataset(texts: list[str]) -> Dataset:
    return Dataset((texts,), None, np.arange(1, len(texts) + 1))


def test_texts_of_other_kinds() -> None:
    own = dataset(["where is my parcel now", "refund the money please"] * 60)
    found = outside_texts(own, None)
    assert found == outside_texts(own, None)
    assert len(found["other domains"]) == 120
    assert len(found["everyday, many languages"]) > 50
    words = {word for text in own.columns[0] for word in str(text).split()}
    assert {word for text in found["own words, mixed"] for word in text.split()} <= words


def test_a_sample_is_no_other_domain_to_itself() -> None:
    tickets = sample("support_tickets")
    texts = [str(text) for text in read_table(tickets.path).column(tickets.text) if text]
    found = outside_texts(dataset(texts[:5]), dataset(texts[5:]))
    assert len(found["other domains"]) == 80
    assert not set(found["other domains"]) & set(texts)


def test_texts_without_spaces_are_mixed_by_character() -> None:
    found = outside_texts(dataset(["房间很干净也很安静", "早餐不好吃服务很差"] * 10), None)
    assert all(" " not in text and len(text) == 9 for text in found["own words, mixed"])


def test_a_text_of_one_character_mixes_nothing() -> None:
    assert outside_texts(dataset(["a"]), None)["own words, mixed"] == []
