"""Explaining a bundle: its texts, its data, its shortcuts."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import WORDS, labelled_rows, tiny_model

import tunesmith
from tunesmith import recipes, runtimes
from tunesmith.errors import ConfigError, DataError, OutputError
from tunesmith.recipes import Run

from .conftest import Notes, Train, write_rows

TEXT = "where is the parcel"


def test_a_text_with_its_answer_and_the_nearest_training_rows(finished: Run) -> None:
    found = tunesmith.explain(finished.bundle, [TEXT, "charged twice"])
    (answer, _) = runtimes.load(finished.bundle).predict([TEXT, "charged twice"])
    text = found.texts[0]
    assert text.prediction.label == answer.label
    assert text.prediction.probability == pytest.approx(answer.probability, abs=1e-5)
    assert [word.text for word in text.explanations[0].words] == TEXT.split()
    assert len(text.neighbours) == 3
    known = {text for text, _ in labelled_rows(120)}
    assert all(one.inputs[0] in known for one in text.neighbours)
    assert [one.similarity for one in text.neighbours] == sorted(
        (one.similarity for one in text.neighbours), reverse=True
    )
    read = json.loads(json.dumps(found.as_dict()))
    assert read["texts"][0]["explanations"][0]["convergence_delta"] is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.method = "other"  # type: ignore[misc]


def test_a_training_row_is_its_own_nearest(finished: Run) -> None:
    from tunesmith.bundles import read_rows

    rows = read_rows(finished.folder / "rows" / "train.parquet", ["text"], "topic")
    found = recipes.explain(finished.bundle, [rows[4].inputs[0]], method="gradient-x-input")
    nearest = found.texts[0].neighbours[0]
    assert nearest.inputs == rows[4].inputs
    assert nearest.target == rows[4].target
    assert nearest.similarity == pytest.approx(1.0, abs=1e-5)


def test_a_bundle_that_was_moved(finished: Run, topics: Path, tmp_path: Path, notes: Notes) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(finished.bundle.path, moved)
    found = recipes.explain(moved, [TEXT], method="gradient-x-input", listener=notes)
    assert found.texts[0].neighbours == ()
    assert any("no training rows" in said for said in notes.said)
    found = recipes.explain(moved, [TEXT], method="gradient-x-input", examples=topics)
    assert len(found.texts[0].neighbours) == 3


def test_what_cannot_be_explained(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown method 'magic'"):
        recipes.explain(finished.bundle, [TEXT], method="magic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no label 'parcle'") as caught:
        recipes.explain(finished.bundle, [TEXT], label="parcle")
    assert caught.value.faults[0].mend == "did you mean 'parcel'?"
    with pytest.raises(DataError, match="text 2: has no word"):
        recipes.explain(finished.bundle, [TEXT, " \n"])
    with pytest.raises(DataError, match="no text to explain"):
        recipes.explain(finished.bundle, [])
    with pytest.raises(DataError, match="give a list of texts"):
        recipes.explain(finished.bundle, TEXT)
    file = write_rows(tmp_path / "x.csv", [(" ",)], "text")
    with pytest.raises(DataError, match="no row has text"):
        recipes.explain(finished.bundle, file=file)


def test_rows_of_a_file_as_many_as_are_wanted(finished: Run, topics: Path, notes: Notes) -> None:
    found = recipes.explain(
        finished.bundle, file=topics, method="gradient-x-input", max_rows=5, neighbours=0,
        label="money", listener=notes,
    )  # fmt: skip
    assert [text.row for text in found.texts] == [1, 2, 3, 4, 5]
    assert {text.explanations[0].label for text in found.texts} == {"money"}
    assert "the first 5 of 120 rows are explained" in found.notes


def test_the_held_out_rows_and_a_file(finished: Run, topics: Path, tmp_path: Path) -> None:
    found = tunesmith.explain_data(finished.bundle, method="gradient-x-input")
    assert found.source == "the bundle's test rows"
    assert found.view.num_rows == found.view.of_rows == finished.report.split_sizes["test"]
    found = tunesmith.explain_data(finished.bundle, topics, method="gradient-x-input", rows=30)
    assert (found.view.num_rows, found.view.of_rows) == (30, 120)
    own = found.view.faithfulness
    assert own is not None
    assert own.num_rows == 30
    read = json.loads(json.dumps(found.as_dict()))
    assert {one["label"] for one in read["labels"]} <= {"login", "money", "parcel"}
    page = tmp_path / "x.html"
    found.write_page(page)
    assert "Words that drive each label" in page.read_text()
    with pytest.raises(OutputError, match="exists"):
        found.write_page(page)


def test_the_mistakes_that_a_report_asks_for(finished: Run) -> None:
    from tunesmith.bases import load_classifier, load_tokenizer

    bundle = finished.bundle
    dataset = bundle.held_out()
    assert dataset is not None
    assert dataset.targets is not None
    facts = bundle.manifest.base
    wrong = dataclasses.replace(
        dataset, targets=["login" if t == "money" else "money" for t in dataset.targets]
    )
    parts = (
        load_classifier(bundle.model_path, facts.pooling, 3),
        load_tokenizer(bundle.model_path),
        bundle.task,
        facts.max_length,
    )
    view = recipes.explain_rows(*parts, wrong, limit=6, method="gradient-x-input")
    assert 0 < len(view.mistakes) <= 5
    assert all(text.prediction.label != text.target for text in view.mistakes)
    sureness = [text.prediction.probability for text in view.mistakes]
    assert sureness == sorted(sureness, reverse=True)
    view = recipes.explain_rows(
        *parts, dataset, limit=4, method="gradient-x-input", mistake_rows=[7, 3, 10**6]
    )
    assert [text.row for text in view.mistakes] == [7, 3]
    assert view.num_rows == 4


def planted_rows(num_rows: int, word: str) -> list[tuple[str, str]]:
    """Texts of chance words and a label that one word gives away."""
    generator = np.random.default_rng(0)
    vocabulary = sorted(set(WORDS.split()) - {"monday", word})
    rows = {}
    while len(rows) < num_rows:
        label = ("night", "day")[len(rows) % 2]
        words = [*generator.choice(vocabulary, 6), word if label == "night" else "monday"]
        rows.setdefault(" ".join(generator.permutation(words)), label)
    return list(rows.items())


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("method", ["integrated-gradients", "leave-one-out"])
def test_a_planted_shortcut_tops_the_view(
    family: str, method: str, planted: Callable[[str], Run]
) -> None:
    run = planted(family)
    found = recipes.explain_data(run.bundle, method=method, max_rows=40)  # type: ignore[arg-type]
    drivers = {one.label: one.words for one in found.view.drivers}
    assert drivers["night"][0].word == "zqk7"
    others = [word.attribution for word in drivers["night"][1:]]
    assert drivers["night"][0].attribution > 3 * max(others, default=0.0)
    own = found.view.faithfulness
    assert own is not None
    assert own.comprehensiveness_gain.low > 0
    assert own.comprehensiveness.value > 2 * own.random_comprehensiveness.value


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A run on rows whose label a word gives away that is of several pieces; made once."""
    from tunesmith import config

    from .conftest import quick_settings

    made: dict[str, Run] = {}

    def make(family: str) -> Run:
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            base = tiny_model(folder / "base", family)
            data = write_rows(folder / "rows.csv", planted_rows(240, "zqk7"), "text,shift")
            settings = {
                **quick_settings(data, base, folder / "run"),
                "training.epochs": 8,
                "training.learning_rate": 5e-3,
            }
            made[family] = recipes.train(config.load(settings=settings))
        return made[family]

    return make


def test_an_adapter_and_a_probe(train: Train) -> None:
    for method in ("lora", "probe"):
        run = train({"training.method": method, "training.epochs": 1}, name=method)
        found = recipes.explain(run.bundle, [TEXT], neighbours=1)
        assert found.texts[0].explanations[0].attribution.is_converged
        assert len(found.texts[0].neighbours) == 1
