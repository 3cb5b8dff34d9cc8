"""Telling test rows of a report, explained word by word, within a time."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tunesmith import config, recipes
from tunesmith.bundles import open_bundle
from tunesmith.config import EvaluationConfig
from tunesmith.evaluation import Explanations
from tunesmith.recipes import Run, _explanations
from tunesmith.recipes._examine import Examined
from tunesmith.recipes._explanations import explanations
from tunesmith.recipes._listener import Silent
from tunesmith.recipes.explain import gradient_explainer
from tunesmith.runtimes import load
from tunesmith.types import Dataset

from .conftest import quick_settings

SETTINGS = EvaluationConfig(explanation_seconds=600)


@pytest.fixture(scope="module")
def explained(topics: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("explained")
    settings = {
        **quick_settings(topics, base, folder / "run"),
        "training.method": "probe",
        "evaluation.explanation_seconds": 600,
        "evaluation.robustness": False,
    }
    return recipes.train(config.load(settings=settings))


def subject(run: Run, texts: list[str], targets: list[str], **more: object) -> Examined:
    bundle = open_bundle(run.bundle)
    runtime = load(bundle)
    rows = Dataset((texts,), targets, np.arange(1, len(texts) + 1))

    def ask(inputs):
        return runtime.outputs(inputs).scores

    made = Examined(
        task=runtime.task, dataset=rows, targets=runtime.task.encode(targets),
        scores=ask(rows.inputs), ask=ask, settings=SETTINGS,
        explainer=lambda: gradient_explainer(bundle),
    )  # fmt: skip
    return dataclasses.replace(made, **more)


def test_the_report_explains_mistakes_and_a_right_answer_of_each_label(explained: Run) -> None:
    saved = json.loads((explained.folder / "report.json").read_text(encoding="utf-8"))
    found = Explanations.from_dict(saved["sections"]["explanations"])
    assert found.method == "integrated-gradients"
    assert [one.is_right for one in found.rows] == sorted(one.is_right for one in found.rows)
    for one in found.rows:
        assert one.is_right == (one.target == one.predicted)
        assert one.label == one.predicted
        assert any(piece.adds for pieces in one.fields for piece in pieces)
        assert "convergence delta" in one.facts
    right = [one.label for one in found.rows if one.is_right]
    assert right
    assert len(set(right)) == len(right)
    assert {"comprehensiveness", "random_comprehensiveness"} <= found.faithfulness.keys()
    assert found.num_measured <= len(found.rows)
    page = (explained.folder / "report.html").read_text(encoding="utf-8")
    assert "Why it answers so" in page
    assert 'class="for-5"' in page or 'class="against-5"' in page


def test_what_would_take_too_long_is_left_out_and_said(
    explained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = subject(explained, ["where is my parcel"] * 2, ["parcel", "money"])
    monkeypatch.setattr(_explanations, "_PASSES", 10**9)
    found = explanations(own, Silent())
    assert found is not None
    assert found.rows == ()
    assert "evaluation.explanation_seconds" in found.left_out
    assert found.sentences() == (f"explanations: {found.left_out}",)
    monkeypatch.setattr(_explanations, "_PASSES", 0)
    tight = dataclasses.replace(own, settings=EvaluationConfig(explanation_seconds=1e-6))
    found = explanations(tight, Silent())
    assert found is not None
    assert len(found.rows) == 1
    assert "1 of 2 rows" in found.left_out
    assert not found.faithfulness
    assert explanations(dataclasses.replace(own, settings=EvaluationConfig(
        explanation_seconds=0)), Silent()) is None  # fmt: skip


def test_without_gradients_words_are_left_out(explained: Run) -> None:
    own = subject(explained, ["where is my parcel", "pay the card"], ["parcel", "money"])
    found = explanations(dataclasses.replace(own, explainer=None), Silent())
    assert found is not None
    assert found.method == "leave-one-out"
    assert {one.is_converged for one in found.rows} == {None}


def test_personal_data_is_masked_and_long_texts_are_cut(explained: Run) -> None:
    texts = ["write to ada@example.org about the card", "parcel " * 200]
    found = explanations(subject(explained, texts, ["money", "parcel"]), Silent())
    assert found is not None
    shown = {
        one.row: "".join(piece.text for pieces in one.fields for piece in pieces)
        for one in found.rows
    }
    assert shown[1] == "write to [e-mail] about the card"
    assert shown[2].endswith(" …")
    assert len(shown[2]) < 620
    assert "ada@" not in json.dumps(found.as_dict())
