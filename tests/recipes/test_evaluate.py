"""How good a bundle is on a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import labelled_rows

from tunesmith import recipes
from tunesmith.errors import DataError
from tunesmith.recipes import Run

from .conftest import Notes, write_rows


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


def test_rows_that_were_trained_on_are_said(
    finished: Run, topics: Path, tmp_path: Path, notes: Notes
) -> None:
    recipes.evaluate(finished.bundle, topics, listener=notes)
    (warning,) = notes.warned
    count = int(warning.split()[0])
    assert count >= finished.report.split_sizes["train"]
    assert f"{count} of 120 texts were trained on" in warning
    notes.warned.clear()
    fresh = [(f"never seen {number}", topic) for number, (_, topic) in enumerate(labelled_rows(9))]
    recipes.evaluate(finished.bundle, write_rows(tmp_path / "x.csv", fresh), listener=notes)
    assert notes.warned == []
