from __future__ import annotations

import numpy as np
import pytest

from tunesmith.evaluation import Baseline, MajorityBaseline, TfidfBaseline, evaluate
from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Dataset

SUBJECTS = {
    "card": ["my card is lost", "the card was stolen", "my card does not work"],
    "refund": ["please return my money", "where is my refund", "I want the payment back"],
    "login": ["I forgot my password", "the app will not let me in", "cannot sign in"],
}
OPENINGS = ["hello", "hi there", "good morning", "well", "please help", "urgent", "dear team", "so"]
CHINESE = {
    "好": ["房间很干净", "服务非常好", "早餐不错", "位置很方便"],
    "坏": ["房间太脏了", "服务很差", "早餐难吃", "隔音太糟糕"],
}


def texts_of(subjects, openings):
    rows = [
        (f"{opening} {phrase}", label)
        for label, phrases in subjects.items()
        for phrase in phrases
        for opening in openings
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[place] for place in order]


def dataset(rows):
    texts, targets = zip(*rows, strict=True)
    return Dataset((texts,), targets, np.arange(1, len(rows) + 1), "tickets.csv")


@pytest.mark.parametrize("subjects", [SUBJECTS, CHINESE])
def test_learns_from_texts(subjects):
    task = TextClassification((Field("text"),), tuple(sorted(subjects)))
    train, test = (dataset(texts_of(subjects, each)) for each in (OPENINGS[:5], OPENINGS[5:]))
    accuracy = {}
    models: list[Baseline] = [MajorityBaseline(task.labels), TfidfBaseline(task.labels, seed=1)]
    for model in models:
        model.fit(train, task.encode(train.targets))
        probabilities = model.probabilities(test)
        assert probabilities.shape == (len(test), len(task.labels))
        assert probabilities.dtype == np.float64
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        found = evaluate(task, task.encode(test.targets), probabilities, resamples=20)
        accuracy[model.name] = found["accuracy"].value
        if model.name == "TF-IDF + linear":
            assert found["log_loss"].value < 0.35
    assert accuracy["TF-IDF + linear"] > 0.95
    assert accuracy["majority class"] == pytest.approx(1 / len(subjects))


def test_several_labels():
    task = MultiLabelClassification((Field("text"),), ("card", "refund", "login", "never"))
    rows = [
        (f"{first[0]}, and {second[0]}", tuple({first[1], second[1]}))
        for first in texts_of(SUBJECTS, OPENINGS[:2])
        for second in texts_of(SUBJECTS, OPENINGS[2:4])
    ]
    train, test = dataset(rows[:250]), dataset(rows[250:])
    model = TfidfBaseline(task.labels)
    model.fit(train, task.encode(train.targets))
    found = evaluate(task, task.encode(test.targets), model.probabilities(test), resamples=20)
    assert found["micro_f1"].value > 0.9
    assert (model.probabilities(test)[:, 3] < 0.2).all()
    majority = MajorityBaseline(task.labels)
    majority.fit(train, task.encode(train.targets))
    frequencies = task.encode(train.targets).mean(axis=0)
    np.testing.assert_allclose(majority.probabilities(test)[0], frequencies, atol=0.01)


def test_both_columns_are_read():
    rows = texts_of(SUBJECTS, OPENINGS)
    texts, targets = zip(*rows, strict=True)
    task = TextClassification((Field("id"), Field("text")), tuple(sorted(SUBJECTS)))
    data = Dataset((["same"] * len(rows), texts), targets, np.arange(len(rows)))
    model = TfidfBaseline(task.labels)
    model.fit(data, task.encode(targets))
    found = evaluate(task, task.encode(targets), model.probabilities(data), resamples=20)
    assert found["accuracy"].value == 1.0


def test_the_same_seed_gives_the_same_probabilities():
    train = dataset(texts_of(SUBJECTS, OPENINGS))
    task = TextClassification((Field("text"),), tuple(sorted(SUBJECTS)))
    found = []
    for _ in range(2):
        model = TfidfBaseline(task.labels, seed=7)
        model.fit(train, task.encode(train.targets))
        found.append(model.probabilities(train))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("targets", [[0, 0], [0, 1], [2, 1]])
@pytest.mark.parametrize("texts", [["one", "two"], ["", " "], ["!", "?"]])
def test_hardly_any_data(targets, texts):
    data = Dataset((texts,), None, np.array([1, 2]))
    model = TfidfBaseline(("a", "b", "c"))
    model.fit(data, np.array(targets))
    probabilities = model.probabilities(data)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    if texts == ["one", "two"]:
        np.testing.assert_array_equal(probabilities.argmax(axis=1), targets)
