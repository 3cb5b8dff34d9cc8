"""Attribution with nothing but a function from texts to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tiny import WORDS

from tunesmith.explanation import Explainer
from tunesmith.types import Dataset, Inputs

from .conftest import Tiny, one_label, several_labels

WEIGHTS = {"password": 2.0, "card": -1.0, "包": 0.5}


def additive(inputs: Sequence[Inputs]) -> np.ndarray:
    """A model whose log-odds of the first label are a sum over the words that it knows."""
    scores = np.array([sum(w for word, w in WEIGHTS.items() if word in one[0]) for one in inputs])
    first = 1 / (1 + np.exp(-scores))
    return np.column_stack([first, (1 - first) / 2, (1 - first) / 2])


def texts(*values: str) -> Dataset:
    return Dataset((list(values),), None, np.zeros(len(values), dtype=np.int64))


def test_the_weights_of_an_additive_model_come_back() -> None:
    explainer = Explainer.of_function(additive, one_label())
    found = explainer.explain(texts("my card password 包 裹"), label="login")
    values = {word.text: word.attribution for word in found[0].explanations[0].words}
    assert values == pytest.approx(
        {"my": 0.0, "card": -1.0, "password": 2.0, "包": 0.5, "裹": 0.0}, abs=1e-9
    )
    assert found[0].explanations[0].attribution.score == pytest.approx(1.5)


def test_texts_are_asked_for_in_batches_and_once() -> None:
    asked: list[int] = []

    def counting(inputs: Sequence[Inputs]) -> np.ndarray:
        asked.append(len(inputs))
        assert len(set(inputs)) == len(inputs)
        return additive(inputs)

    explainer = Explainer.of_function(counting, one_label())
    explainer.explain(texts(*["card card password"] * 8))
    assert len(asked) == 2, "once for the answers, once for all that leaves a word out"
    assert asked[1] == 3, "leaving out either card is the same text"


def test_a_text_of_one_word_and_one_of_thousands() -> None:
    explainer = Explainer.of_function(additive, one_label())
    one, many = explainer.explain(texts("password", "word " * 3000 + "password"))
    assert one.explanations[0].words[0].attribution == pytest.approx(2.0)
    assert len(many.explanations[0].words) == 3001


@pytest.mark.parametrize("task", [one_label(), several_labels()])
def test_it_agrees_with_the_model_itself(task, tiny: Callable[[str], Tiny]) -> None:
    model = tiny("bert")
    (found,) = model.explainer("leave-one-out", task).explain(texts(WORDS[:50]))
    (whole,) = model.explainer("gradient-x-input", task).explain(texts(WORDS[:50]))
    for one, other in zip(found.explanations, whole.explanations, strict=True):
        assert one.attribution.score == pytest.approx(other.attribution.score, abs=1e-4)
        assert [word.text for word in one.words] == [word.text for word in other.words]
