"""How good a bundle is on a file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tiny import labelled_rows

from tunesmith import recipes
from tunesmith.bundles import Bundle
from tunesmith.errors import DataError, OutputError
from tunesmith.recipes import Run

from .conftest import Notes, Train, write_rows


def test_the_figures_are_those_of_the_predictions(
    finished: Run, topics: Path, tmp_path: Path
) -> None:
    found = recipes.evaluate(finished.folder, topics)
    labels = recipes.predict(finished.bundle, topics).column("label")
    truth = [topic for _, topic in labelled_rows(120)]
    right = sum(label == topic for label, topic in zip(labels, truth, strict=True))
    assert found.metrics["accuracy"].value == pytest.approx(right / 120)
    assert found.as_dict()["num_examples"] == 120
    assert found.as_dict()["data"] == str(topics)


def test_other_columns_and_gaps(finished: Run, tmp_path: Path) -> None:
    rows = [*labelled_rows(9), ("", "money")]
    file = write_rows(tmp_path / "x.csv", rows, "text,answer")
    with pytest.raises(DataError, match="'topic' does not exist"):
        recipes.evaluate(finished.bundle, file)
    with pytest.raises(DataError, match="row 10: column 'text' is empty"):
        recipes.evaluate(finished.bundle, file, target="answer")
    found = recipes.evaluate(finished.bundle, file, target="answer", drop_missing=True)
    assert found.metrics.num_examples == 9


def test_labels_that_are_not_known(finished: Run, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "x.csv", [*labelled_rows(9), ("greetings", "martian")])
    with pytest.raises(DataError, match="does not know: 'martian'") as caught:
        recipes.evaluate(finished.bundle, file)
    assert "login, money, parcel" in caught.value.faults[0].mend


def test_unseen_labels_can_be_left_out(finished: Run, tmp_path: Path, notes: Notes) -> None:
    rows = [*labelled_rows(9), ("greetings", "martian"), ("hello", "martian"), ("hi", "elf")]
    file = write_rows(tmp_path / "x.csv", rows)
    with pytest.raises(
        DataError, match=r"3 rows have labels .*'elf' \(1×\), 'martian' \(2×\)"
    ) as caught:
        recipes.evaluate(finished.bundle, file)
    assert "--ignore-unseen leaves such rows out" in caught.value.faults[0].mend
    found = recipes.evaluate(finished.bundle, file, ignore_unseen=True, listener=notes)
    assert found.metrics.num_examples == 9
    assert any("3 rows have labels that the model does not know" in text for text in notes.warned)
    assert found.report.data["unseen_labels"] == 3
    file = write_rows(tmp_path / "y.csv", rows[9:])
    with pytest.raises(DataError, match="3 rows have labels"):
        recipes.evaluate(finished.bundle, file, ignore_unseen=True)


def test_files_that_cannot_be_used(finished: Run, tmp_path: Path) -> None:
    unlabelled = write_rows(tmp_path / "a.csv", [("hello",), ("you",)], "text")
    with pytest.raises(DataError, match="column 'topic' does not exist"):
        recipes.evaluate(finished.bundle, unlabelled)
    other = write_rows(tmp_path / "b.csv", labelled_rows(9), "texts,topic")
    with pytest.raises(DataError, match="column 'text' does not exist") as caught:
        recipes.evaluate(finished.bundle, other)
    assert "did you mean 'texts'?" in caught.value.faults[0].mend
    empty = tmp_path / "c.csv"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="empty"):
        recipes.evaluate(finished.bundle, empty)
    with pytest.raises(DataError, match="no row"):
        recipes.evaluate(finished.bundle, write_rows(tmp_path / "d.csv", []))
    several = [(text, f"{topic}|money") for text, topic in labelled_rows(9)]
    with pytest.raises(DataError, match="labels that the model does not know") as caught:
        recipes.evaluate(finished.bundle, write_rows(tmp_path / "e.csv", several))
    assert "the model gives one: it is of another task" in caught.value.faults[0].mend
    with pytest.raises(DataError, match="column 'owner' does not exist"):
        recipes.evaluate(
            finished.bundle, write_rows(tmp_path / "f.csv", labelled_rows(9)), group="owner"
        )


def test_one_class_only(finished: Run, tmp_path: Path) -> None:
    rows = [row for row in labelled_rows(30, seed=7) if row[1] == "money"]
    found = recipes.evaluate(finished.bundle, write_rows(tmp_path / "x.csv", rows))
    assert "mcc" not in found.metrics.values
    assert any("all rows have the label 'money'" in note for note in found.as_dict()["notes"])
    json.dumps(found.as_dict(), allow_nan=False)
    assert "<article" in found.report.to_html()


def test_groups_are_those_of_the_column(finished: Run, tmp_path: Path, notes: Notes) -> None:
    rows = [(text, topic, f"owner {n // 5}") for n, (text, topic) in enumerate(labelled_rows(60))]
    file = write_rows(tmp_path / "x.csv", rows, "text,topic,owner")
    plain = recipes.evaluate(finished.bundle, file, listener=notes)
    grouped = recipes.evaluate(finished.bundle, file, group="owner", listener=notes)
    assert "intervals are over 12 groups of 'owner', not over rows" in notes.said
    assert grouped.metrics["log_loss"].value == plain.metrics["log_loss"].value
    assert grouped.metrics["log_loss"] != plain.metrics["log_loss"]


def test_the_report(finished: Run, topics: Path, tmp_path: Path) -> None:
    found = recipes.evaluate(finished.bundle, topics, report=tmp_path / "report")
    report = found.report
    assert report.kind == "evaluation"
    assert report.better is (report.advantage is not None and report.advantage.low > 0)
    assert report.split_sizes == {"test": 120}
    assert str(tmp_path) not in (tmp_path / "report" / "report.json").read_text(encoding="utf-8")
    assert any("were trained on" in note for note in report.notes)
    with pytest.raises(OutputError, match="not empty"):
        recipes.evaluate(finished.bundle, topics, report=tmp_path / "report")


def test_a_model_that_beats_no_baseline_is_said(finished: Run, topics: Path) -> None:
    found = recipes.evaluate(finished.bundle, topics)
    expected = finished.report.headline() if finished.report.better is False else ""
    assert found.trained == expected
    assert finished.report.better is (
        finished.report.advantage is not None and finished.report.advantage.low > 0
    )


def test_it_is_held_against_what_it_was_trained_beside(train: Train, tmp_path: Path) -> None:
    later = write_rows(tmp_path / "later.csv", labelled_rows(60, seed=5))
    run = train(test=str(later))
    found = recipes.evaluate(run.bundle, later, resamples=100)
    assert found.report.advantage == run.report.advantage
    assert found.report.advantage_over == run.report.advantage_over
    assert found.report.headline() == run.report.headline().replace("fine-tuned model", "topics")
    for before, now in zip(run.report.candidates, found.report.candidates, strict=True):
        assert now.name == before.name.replace("fine-tuned model", "topics")
        for name, estimate in before.metrics.values.items():
            assert now.metrics[name].value == pytest.approx(estimate.value, abs=1e-4)
    values = found.as_dict()
    assert values["better"] is found.report.better
    assert values["candidates"][0]["name"] == "majority class"
    assert recipes.evaluate(run.bundle, later, baselines=False).report.candidates == ()


def test_thresholds_of_several_labels_are_those_of_training(
    several_bundle: Bundle, several_csv: Path
) -> None:
    names = ["majority class", "TF-IDF + linear", "frozen encoder + linear head", "several"]
    report = recipes.evaluate(several_bundle, several_csv, resamples=100).report
    assert [one.name for one in report.candidates] == names
    lead = report.lead_metric
    assert report.candidates[2].metrics[lead].value > report.candidates[0].metrics[lead].value


def test_without_training_rows_the_majority_is_left(
    finished: Run, tmp_path: Path, notes: Notes
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(finished.bundle.path, moved)
    file = write_rows(tmp_path / "x.csv", labelled_rows(60, seed=5))
    report = recipes.evaluate(moved, file, resamples=100, listener=notes).report
    assert [one.name for one in report.candidates] == ["majority class", "topics"]
    assert report.candidates[0].metrics["accuracy"].value == pytest.approx(1 / 3)
    reasons = [
        "not compared with TF-IDF + linear: no training rows lie beside the bundle",
        "not compared with frozen encoder + linear head: no such head lies beside the bundle",
    ]
    assert list(report.notes) == reasons
    assert set(reasons) <= set(notes.said)
    assert all(reason in report.to_html() for reason in reasons)


def test_a_base_that_is_gone_or_another_is_said(finished: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    file = write_rows(tmp_path / "x.csv", labelled_rows(30, seed=5))
    settings = (run / "config.yaml").read_text(encoding="utf-8")
    for base, reason in (("/no/such/base", "is not at hand"), ("minilm", "has changed since")):
        own = re.sub(r"(?m)^  id: .*$", f"  id: {base}", settings)
        assert own != settings
        (run / "config.yaml").write_text(own, encoding="utf-8")
        report = recipes.evaluate(run, file, resamples=100).report
        assert [one.name for one in report.candidates][1:] == ["TF-IDF + linear", "topics"]
        (note,) = report.notes
        assert reason in note
    (run / "probe.safetensors").write_bytes(b"half of it")
    assert "no such head" in recipes.evaluate(run, file, resamples=100).report.notes[0]


def test_a_probe_is_not_held_against_itself(train: Train, topics: Path) -> None:
    run = train({"training.method": "probe"})
    report = recipes.evaluate(run.bundle, topics, resamples=100).report
    names = ["majority class", "TF-IDF + linear", "topics"]
    assert [one.name for one in report.candidates] == names


def test_near_copies_of_training_rows_are_said(
    finished: Run, topics: Path, tmp_path: Path, notes: Notes
) -> None:
    near = [(f"{text} indeed", topic) for text, topic in labelled_rows(120)]
    file = write_rows(tmp_path / "x.csv", near)
    report = recipes.evaluate(finished.bundle, file, listener=notes).report
    (warning,) = notes.warned
    count = int(warning.split()[0])
    assert 60 < count <= 120
    assert (report.data["trained_rows"], report.data["nearly_trained_rows"]) == (0, count)
    told = f"TOO GOOD: {count} of them differ hardly from rows that were trained on"
    assert told in report.headline()
    assert "of 120 texts differ hardly from texts that were trained on" in warning


def test_rows_that_were_trained_on_are_said(
    finished: Run, topics: Path, tmp_path: Path, notes: Notes
) -> None:
    recipes.evaluate(finished.bundle, topics, listener=notes)
    (warning,) = notes.warned
    count = int(warning.split()[0])
    assert count >= finished.report.split_sizes["train"]
    assert f"{count} of 120 texts were trained on" in warning
    assert warning.endswith("the figures are too good")
    notes.warned.clear()
    fresh = [(f"never seen {number}", topic) for number, (_, topic) in enumerate(labelled_rows(9))]
    recipes.evaluate(finished.bundle, write_rows(tmp_path / "x.csv", fresh), listener=notes)
    assert notes.warned == []


def test_training_with_groups_judges_groups(train: Train, tmp_path: Path) -> None:
    rows = [(text, topic, f"owner {n // 4}") for n, (text, topic) in enumerate(labelled_rows(120))]
    file = write_rows(tmp_path / "x.csv", rows, "text,topic,owner")
    run = train(source=str(file), group="owner", target="topic", split="stable")
    judged = recipes.evaluate(run.bundle, file, listener=(heard := Notes()))
    assert any("groups of 'owner', not over rows" in note for note in heard.said)
    assert judged.metrics.num_examples == 120
