"""What a report says beside the figures: slices, weak slices, groups, robustness, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import labelled_rows

from tunesmith import config, recipes
from tunesmith.errors import ConfigError, DataError
from tunesmith.recipes import Run

from .conftest import Train, quick_settings, write_rows

CHANNELS = ("mail", "phone", "chat")


def shortcut_rows(num_rows: int, seed: int, *, is_test: bool) -> list[tuple[str, ...]]:
    """Text, topic, channel and day; a word gives one topic away in training, and misleads later."""
    rows = []
    for number, (text, topic) in enumerate(labelled_rows(num_rows, seed)):
        has_word = topic == "money" or (is_test and number % 2 == 0)
        words = f"zebra zebra {text} zebra" if has_word else text
        day = f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}"
        rows.append((words, topic, CHANNELS[number % 7 % 3], day))
    return rows


@pytest.fixture(scope="module")
def misled(base: Path, tmp_path_factory: pytest.TempPathFactory, _one_thread: None) -> Run:
    """A model that learned a word in place of what the texts say."""
    folder = tmp_path_factory.mktemp("misled")
    header = "text,topic,channel,day"
    train = write_rows(folder / "train.csv", shortcut_rows(240, 0, is_test=False), header)
    test = write_rows(folder / "test.csv", shortcut_rows(240, 1, is_test=True), header)
    settings = {
        **quick_settings(train, base, folder / "run"),
        "data.test": str(test),
        "training.method": "probe",
        "evaluation.slices": ["channel", "day"],
        "evaluation.fairness": "channel",
        "evaluation.max_robustness_rows": 40,
    }
    return recipes.train(config.load(settings=settings))


def sections(run: Run) -> dict[str, Any]:
    saved = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    return dict(saved["sections"])


def test_a_word_that_gave_the_label_away_is_found(misled: Run) -> None:
    found = sections(misled)["weak_slices"]["slices"]
    zebra = {"kind": "word", "name": "word", "value": "zebra"}
    # One slice, or pairs of the word and something else that share few of their mistakes.
    weak = [one for one in found if zebra in one["conditions"]]
    assert weak
    assert all(one["estimate"]["high"] < one["rest"]["low"] for one in weak)
    (section,) = [one for one in misled.report.sections if one.name == "weak_slices"]
    assert any("the text holds “zebra”" in sentence for sentence in section.sentences())


def test_columns_that_the_model_does_not_read_are_slices(misled: Run) -> None:
    found = sections(misled)["slices"]["slices"]
    channels = [one for one in found if one["name"] == "channel"]
    assert {one["value"] for one in channels} == set(CHANNELS)
    assert sum(one["num_rows"] for one in channels) == 240
    days = [one for one in found if one["name"] == "day"]
    assert next(one["value"][:7] for one in days) == "2026-01"
    assert {one["kind"] for one in found} >= {"length", "label", "confidence", "column"}


def test_groups_and_robustness_and_mistakes_are_there(misled: Run) -> None:
    found = sections(misled)
    assert found["fairness"]["column"] == "channel"
    assert {one["value"] for one in found["fairness"]["groups"]} == set(CHANNELS)
    assert {one["name"] for one in found["robustness"]["checks"]} >= {"typos", "letter case"}
    right = found["errors"]["num_rows"] - found["errors"]["num_mistakes"]
    assert right / 240 == pytest.approx(misled.metrics["accuracy"].value)
    page = (misled.folder / "report.html").read_text(encoding="utf-8")
    assert page.count("The most confident mistakes") == 1
    assert "zebra" in page


def test_columns_of_held_out_rows_are_theirs(train: Train, tmp_path: Path) -> None:
    rows = [(text, topic, f"of {topic}") for text, topic in labelled_rows(300)]
    file = write_rows(tmp_path / "rows.csv", rows, "text,topic,owner")
    run = train(
        {"evaluation.slices": "owner", "training.method": "probe", "evaluation.robustness": False},
        source=str(file), test_fraction=0.3,
    )  # fmt: skip
    found = sections(run)
    assert "robustness" not in found
    both = {
        kind: [(one["num_rows"], one["estimate"]) for one in found["slices"]["slices"]
               if one["kind"] == kind]
        for kind in ("label", "column")
    }  # fmt: skip
    assert len(both["column"]) == 3
    assert sorted(map(str, both["column"])) == sorted(map(str, both["label"]))


def test_columns_that_are_not_there_or_are_taken(train: Train, topics: Path) -> None:
    with pytest.raises(DataError, match="'chanel' does not exist"):
        train({"evaluation.slices": ["chanel"]})
    with pytest.raises(DataError, match="'channel' does not exist"):
        train({"evaluation.fairness": "channel"}, test=str(topics))
    with pytest.raises(ConfigError, match="'topic' is the text or the label"):
        train({"evaluation.fairness": "topic"}, target="topic")


def test_values_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    from tunesmith.recipes._slices import extra_columns

    file = write_rows(tmp_path / "x.csv", [("a", "1"), ("b", ""), ("c", "3")], "text,number")
    found = extra_columns(str(file), ["number"], np.array([3, 1, 2]))
    assert [None if value is None else int(str(value)) for value in found["number"]] == [3, 1, None]
