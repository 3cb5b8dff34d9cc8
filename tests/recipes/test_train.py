"""From a labelled file to a bundle."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file
from tiny import labelled_rows, tiny_model

import tunesmith
from tunesmith.bundles import open_bundle
from tunesmith.errors import ConfigError, OutputError
from tunesmith.recipes import Run

from .conftest import Notes, Train, write_rows


def digests(run: Run) -> dict[str, str]:
    folder = run.bundle.model_path
    files = sorted(folder.glob("*.safetensors"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_run_has_a_report_and_a_bundle(finished: Run) -> None:
    report = finished.report
    assert [candidate.name for candidate in report.candidates] == [
        "majority class",
        "TF-IDF + linear",
        "frozen encoder + linear head",
        "fine-tuned model",
    ]
    assert report.chosen == "fine-tuned model"
    assert report.split_sizes == {"train": 96, "validation": 12, "test": 12}
    assert (
        report.split_source == "10% of topics.csv, held out by text, labels spread alike, seed 42"
    )
    assert [epoch["epoch"] for epoch in report.history] == [0, 1, 2]
    assert np.asarray(report.confusion).sum() == 12
    assert report.base["pooling"] == "mean"
    assert finished.metrics is report.metrics
    assert finished.seconds >= report.seconds > 0


def test_the_run_shows_itself(finished: Run) -> None:
    assert "fine-tuned model" in finished._repr_html_()
    values = json.loads(json.dumps(finished.as_dict()))
    assert values.keys() == {"bundle", "run", "metrics", "seconds"}
    saved = json.loads((finished.folder / "report.json").read_text())
    assert saved == finished.report.as_dict()
    assert "<html" in (finished.folder / "report.html").read_text()


def test_the_folder_holds_no_more_than_it_should(finished: Run) -> None:
    assert {path.name for path in finished.folder.iterdir()} == {
        *("bundle", "config.yaml", "metrics.jsonl", "pinned.json", "report.html", "report.json"),
        "probe.safetensors",
        "rows",
    }
    log = (finished.folder / "metrics.jsonl").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    settings = events[0].pop("settings")
    assert events[0] == {"event": "start", "run": "full", "step": 0, "total_steps": 12}
    assert (settings["epochs"], settings["batch_size"], settings["dropout"]) == (2, 16, 0.0)
    assert settings["learning_rate"] > 0  # which nobody has set
    assert settings == {name: finished.report.fit[name] for name in settings}
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [0, 1, 2]


def test_the_bundle_says_what_it_is(finished: Run, base: Path) -> None:
    manifest = open_bundle(finished.folder).manifest
    assert manifest.name == "topics"
    assert manifest.task["labels"] == ["login", "money", "parcel"]
    assert manifest.base.id == "bert"
    assert manifest.base.family == "bert"
    digest = hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()
    assert manifest.base.digest == digest
    assert manifest.parent is None
    assert manifest.data["rows"] == 120
    assert re.fullmatch("[0-9a-f]{64}", manifest.data["fingerprint"])
    assert manifest.metrics["accuracy"] == finished.metrics["accuracy"].as_dict()
    assert manifest.config["training"]["batch_size"] == 16
    assert manifest.versions["torch"] == torch.__version__


def test_the_bundle_keeps_this_machine_to_itself(finished: Run) -> None:
    folders = str(finished.folder.parent.parent)
    for file in finished.bundle.path.rglob("*"):
        if file.is_file():
            assert folders.encode() not in file.read_bytes(), file


def test_the_bundle_opens_with_plain_transformers(finished: Run) -> None:
    folder = str(finished.bundle.model_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = model(**tokenizer("where is the parcel", return_tensors="pt")).last_hidden_state
    head = load_file(finished.bundle.model_path / "head.safetensors")
    scores = states.mean(dim=1).numpy() @ head["weight"].T + head["bias"]
    expected = np.exp(scores[0]) / np.exp(scores[0]).sum()
    [answer] = tunesmith.load(finished.bundle).predict(["where is the parcel"])
    np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-5)


def test_the_same_seed_gives_the_same_weights(finished: Run, train: Train) -> None:
    again, other = train(name="again"), train({"seed": 7}, name="other")
    assert digests(again) == digests(finished)
    assert again.metrics == finished.metrics
    assert digests(other) != digests(finished)


def test_the_python_api(base: Path, topics: Path, tmp_path: Path) -> None:
    run = tunesmith.train(
        topics,
        target="topic",
        text="text",
        base=base,
        method="probe",
        output=tmp_path / "run",
        settings={"training.precision": "fp32", "evaluation.resamples": 100},
        listener=Notes(),
    )
    answers = tunesmith.load(run.bundle).predict(["where is the parcel", "refund"])
    assert {answer.label for answer in answers} <= {"login", "money", "parcel"}
    assert tunesmith.evaluate(run.bundle, topics).metrics.num_examples == 120
    with pytest.raises(
        ConfigError, match=r"there is no 'fulll'\n.*did you mean 'full'\? choices: auto, probe, "
    ):
        tunesmith.train(topics, method="fulll")
    with pytest.raises(OutputError, match="not empty"):
        tunesmith.train(topics, output=run.folder)


def test_a_probe_leaves_the_base_as_it_was(train: Train, base: Path) -> None:
    run = train({"training.method": "probe"})
    assert run.report.chosen == "frozen encoder + linear head"
    assert len(run.report.candidates) == 3
    assert run.report.history == ()
    before, after = (load_file(f / "model.safetensors") for f in (base, run.bundle.model_path))
    assert all(np.array_equal(value, after[name]) for name, value in before.items())


def test_auto_keeps_the_better_of_the_two(train: Train, notes: Notes) -> None:
    # At such a rate nothing is learned, and epoch 0, the probe, stays the best.
    worse = {"training.method": "auto", "training.learning_rate": 0.5, "training.epochs": 1}
    run = train(worse)
    assert run.report.chosen == "frozen encoder + linear head"
    assert len(run.report.candidates) == 3
    assert any("the frozen encoder with its linear head is kept" in text for text in notes.warned)


def test_full_is_fine_tuned_whatever_comes_of_it(train: Train) -> None:
    run = train({"training.learning_rate": 0.5, "training.epochs": 1})
    assert run.report.chosen == "fine-tuned model"


def test_files_for_validation_and_test(train: Train, notes: Notes, tmp_path: Path) -> None:
    rows = labelled_rows(200, seed=5)
    run = train(
        {"training.epochs": 1},
        source=str(write_rows(tmp_path / "a.csv", rows[:150])),
        validation=str(write_rows(tmp_path / "b.csv", rows[150:170])),
        test=str(write_rows(tmp_path / "c.csv", rows[170:])),
    )
    assert run.report.split_sizes == {"train": 150, "validation": 20, "test": 30}
    assert run.report.split_source == "c.csv"
    assert not notes.warned
    config = run.bundle.manifest.config["data"]
    assert (config["source"], config["validation"], config["test"]) == ("a.csv", "b.csv", "c.csv")


def test_rows_in_training_and_test_are_warned_of(
    train: Train, notes: Notes, tmp_path: Path
) -> None:
    rows = labelled_rows(120)
    shared = [*labelled_rows(20, seed=9)[:15], *rows[:5]]
    run = train({"training.method": "probe"}, test=str(write_rows(tmp_path / "test.csv", shared)))
    [warning] = notes.warned
    assert warning.startswith("5 of 20 test rows (25.0%) have a text that is in the training rows")
    assert warning in run.report.notes


def test_several_labels_a_row(train: Train, tmp_path: Path) -> None:
    rows = labelled_rows(120, seed=3)
    neighbours = zip(rows[:40], rows[41:81], strict=True)
    both = [(f"{a} {b}", "|".join(sorted({x, y}))) for (a, x), (b, y) in neighbours]
    run = train(source=str(write_rows(tmp_path / "s.csv", [*rows[40:], *both], "text,topics")))
    task = run.bundle.task
    assert task.name == "multi-label-classification"
    assert task.labels == ("login", "money", "parcel")
    assert run.report.lead_metric == "macro_f1"
    assert run.report.confusion is None
    [answer] = tunesmith.load(run.bundle).predict(["where is the parcel"])
    assert answer.probabilities.keys() == set(task.labels)
    assert set(answer.labels) <= set(task.labels)


def test_two_texts_a_row(train: Train, tmp_path: Path) -> None:
    left, right = labelled_rows(90, seed=1), labelled_rows(90, seed=2)[::-1]
    rows = [(a, b, str(x == y)) for (a, x), (b, y) in zip(left, right, strict=True)]
    file = write_rows(tmp_path / "p.csv", rows, "question,answer,same")
    run = train(
        {"training.epochs": 1}, source=str(file), text=["question", "answer"], target="same"
    )
    assert run.bundle.task.labels == ("false", "true")
    assert [field.name for field in run.bundle.task.fields] == ["question", "answer"]
    model = tunesmith.load(run.bundle)
    item = {"answer": "a refund", "question": "where is it"}
    [named], [placed] = model.predict([item]), model.predict([("where is it", "a refund")])
    assert named == placed


def test_chinese_text_on_an_english_base(train: Train, notes: Notes, tmp_path: Path) -> None:
    words = {"物流": "我的包裹在哪里", "退款": "请把钱退给我", "登录": "密码怎么修改"}
    rows = [(f"{text}{'一二三四五六七八九'[i % 9]}号{i}", topic) for i in range(20)
            for topic, text in words.items()]  # fmt: skip
    file = write_rows(tmp_path / "zh.csv", rows)
    run = train({"training.method": "probe"}, source=str(file))
    [warning] = notes.warned
    assert (share := re.match(r"the base does not know (\d+)% of the tokens", warning))
    assert 60 <= int(share[1]) < 100
    assert "--base" in warning
    assert warning in run.report.notes
    # Read byte by byte, no token is unknown.
    notes.warned.clear()
    bytewise = tiny_model(tmp_path / "gpt2", "gpt2")
    train({"training.method": "probe", "base.id": str(bytewise)}, "bytes", source=str(file))
    assert not notes.warned


def test_texts_that_are_too_long(train: Train, notes: Notes) -> None:
    train({"training.method": "probe", "base.max_length": 8})
    [warning] = notes.warned
    assert re.fullmatch(
        r"\d+ of 120 texts \(\d+\.\d%\) are longer than 8 tokens and are cut; "
        r"of these texts \d+% is not read",
        warning,
    )


def test_a_bundle_as_the_base(finished: Run, train: Train) -> None:
    run = train({"training.method": "probe", "base.id": str(finished.bundle.path)})
    assert run.bundle.manifest.parent == finished.bundle.manifest.digest
    assert run.bundle.manifest.base.id == "bundle"
