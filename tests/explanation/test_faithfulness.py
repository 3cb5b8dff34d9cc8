"""Comprehensiveness and sufficiency, beside chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunesmith.explanation import BINS, measure_faithfulness, read_words

from .test_leave_one_out import additive

TEXTS = [(f"{filler} password and {filler} then what",) for filler in ("one", "two", "card", "x")]


def measure(values, texts=TEXTS, **more):
    readings = read_words(texts)
    attributions = [np.asarray(values(reading), dtype=np.float64) for reading in readings]
    return measure_faithfulness(
        additive, readings, [0] * len(texts), attributions, method="leave-one-out", **more
    )


def by_weight(reading):
    words = [reading.inputs[0][word.start : word.end] for word in reading.words]
    return [float(word == "password") for word in words]


def test_the_definitions() -> None:
    found = measure(by_weight, TEXTS[:1], draws=1)
    whole = additive(TEXTS[:1])[0, 0]
    without = additive([("one and one then what",)])[0, 0]
    assert found.comprehensiveness.value == pytest.approx(whole - without)
    assert found.sufficiency.value == pytest.approx(0.0, abs=1e-9)
    counts = [math.ceil(share * 6) for share in BINS]
    assert counts == [1, 1, 1, 2, 3]


def test_right_explanations_beat_chance_and_wrong_ones_do_not() -> None:
    right = measure(by_weight, draws=20)
    assert right.comprehensiveness_gain.low > 0
    assert right.sufficiency_gain.low > 0
    assert "answers by" in right.sentence()
    gain = right.comprehensiveness.value - right.random_comprehensiveness.value
    assert right.comprehensiveness_gain.value == pytest.approx(gain)
    wrong = measure(lambda reading: -np.asarray(by_weight(reading)), draws=20)
    assert wrong.comprehensiveness_gain.high < 0
    assert "do not rely" in wrong.sentence()
    assert wrong.as_dict()["comprehensiveness"]["value"] == wrong.comprehensiveness.value


def test_texts_of_one_word_are_left_out() -> None:
    assert measure(by_weight, [("password",)]) is None
    assert measure(by_weight, [("password",), *TEXTS]).num_rows == len(TEXTS)


def test_the_same_seed_gives_the_same_figures() -> None:
    assert measure(by_weight, seed=3) == measure(by_weight, seed=3)
