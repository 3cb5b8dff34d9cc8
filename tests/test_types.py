"""The values that travel between the layers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tunesmith.types import (
    Dataset,
    Estimate,
    Example,
    LabelMetrics,
    LabelPrediction,
    LabelsPrediction,
    Metrics,
    Texts,
)

TEXTS = ["one", "", "é 你", "four", "one"]


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(
        columns=(["a", "b", "c"], ["x", "y", "z"]),
        targets=["one", "two", "one"],
        rows=np.array([2, 5, 9]),
        source="file.csv",
    )


def test_dataset_gives_examples_by_place(dataset: Dataset) -> None:
    assert len(dataset) == 3
    assert dataset[1] == Example(("b", "y"), "two", 5)
    assert dataset.inputs == [("a", "x"), ("b", "y"), ("c", "z")]


def test_take_keeps_order_rows_and_source(dataset: Dataset) -> None:
    taken = dataset.take([2, 0])
    assert [taken[i] for i in range(2)] == [dataset[2], dataset[0]]
    assert taken.rows.tolist() == [9, 2]
    assert taken.source == "file.csv"
    assert len(dataset.take(np.array([], dtype=np.int64))) == 0


def test_dataset_without_targets(dataset: Dataset) -> None:
    bare = dataclasses.replace(dataset, targets=None)
    assert bare[0].target is None
    assert bare.take([0]).targets is None


def test_inputs_are_made_when_asked_for(dataset: Dataset) -> None:
    inputs = dataset.inputs
    assert len(inputs) == 3
    assert inputs[-1] == ("c", "z")
    assert inputs[1:] == [("b", "y"), ("c", "z")]
    assert list(inputs[::2]) == [("a", "x"), ("c", "z")]
    assert ("b", "y") in inputs
    assert inputs != [("a", "x"), ("b", "y")]
    assert inputs != [("a", "x"), ("b", "y"), ("c", "q")]
    assert repr(inputs) == "<inputs of 3 examples>"


def test_texts_are_like_a_list() -> None:
    texts = Texts.of(TEXTS)
    assert (len(texts), list(texts), texts[2], texts[-1]) == (5, TEXTS, "é 你", "one")
    assert texts[1:4] == TEXTS[1:4]
    assert texts[::-2] == TEXTS[::-2]
    assert texts == TEXTS
    assert texts == Texts.of(TEXTS)
    assert texts != TEXTS[:4]
    assert texts != "abcde"
    assert (texts.index("four"), texts.count("one"), "two" in texts) == (3, 2, False)
    assert repr(texts) == "<5 texts>"
    with pytest.raises(IndexError):
        texts[5]
    with pytest.raises(TypeError, match="unhashable"):
        hash(texts)


def test_taken_texts_share_their_block() -> None:
    texts = Texts.of(TEXTS)
    taken = texts.take(np.array([4, 2, 2]))
    assert taken == ["one", "é 你", "é 你"]
    assert taken.take(np.array([1]))._block is texts._block
    assert list(Texts.of([])) == []
    assert list(texts.take(np.array([], dtype=np.int64))) == []


def test_many_texts() -> None:
    many = [f"text {n}" for n in range(20_000)]
    assert list(Texts.of(many)) == many


def test_a_dataset_takes_of_texts_without_copying() -> None:
    dataset = Dataset((Texts.of(TEXTS), list("abcde")), None, np.arange(1, 6))
    taken = dataset.take(np.array([3, 0]))
    assert taken.inputs == [("four", "d"), ("one", "a")]
    assert isinstance(taken.columns[0], Texts)
    assert taken.rows.tolist() == [4, 1]


def test_values_are_frozen(dataset: Dataset) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.source = "other"  # type: ignore[misc]


def test_predictions_as_json() -> None:
    one = LabelPrediction("a", 0.75, {"a": 0.75, "b": 0.25})
    assert json.loads(json.dumps(one.as_dict())) == {
        "label": "a",
        "probability": 0.75,
        "probabilities": {"a": 0.75, "b": 0.25},
    }
    several = LabelsPrediction(("b",), {"a": 0.1, "b": 0.9})
    assert several.as_dict() == {"labels": ["b"], "probabilities": {"a": 0.1, "b": 0.9}}


def test_metrics_as_json() -> None:
    figure = Estimate(0.5, 0.25, 0.75)
    label = LabelMetrics(precision=figure, recall=figure, f1=figure, support=4)
    metrics = Metrics({"accuracy": figure}, num_examples=8, labels={"a": label})
    assert metrics["accuracy"] is figure
    values = {"value": 0.5, "low": 0.25, "high": 0.75}
    assert json.loads(json.dumps(metrics.as_dict())) == {
        "accuracy": values,
        "labels": {
            "a": {
                "precision": values,
                "recall": values,
                "f1": values,
                "support": 4,
                "roc_auc": None,
                "pr_auc": None,
            }
        },
        "num_examples": 8,
        "confidence": 0.95,
        "notes": [],
    }
