"""Figures equal scikit-learn's; intervals hold what they say."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tunesmith.errors import DataError, TrainingError
from tunesmith.evaluation import (
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._intervals import wilson_f1, wilson_rate
from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Dataset, Outputs

FIELDS = (Field("text"),)


def one_of(size):
    return TextClassification(FIELDS, tuple(f"label {place}" for place in range(size)))


def many_of(size, thresholds=()):
    labels = tuple(f"label {place}" for place in range(size))
    return MultiLabelClassification(FIELDS, labels, thresholds)


def single_sample(seed, rows, size, sharpness=2.0):
    generator = np.random.default_rng(seed)
    targets = generator.integers(size, size=rows)
    scores = generator.normal(size=(rows, size))
    scores[np.arange(rows), targets] += sharpness
    return targets, one_of(size).probabilities(Outputs(scores=scores.astype(np.float32)))


def multi_sample(seed, rows, size):
    generator = np.random.default_rng(seed)
    targets = (generator.random((rows, size)) < 0.3).astype(np.float32)
    probabilities = np.clip(0.6 * targets + 0.4 * generator.random((rows, size)), 0, 1)
    return targets, probabilities.astype(np.float64)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 6), st.floats(-1, 4))
def test_single_label_figures_equal_scikit_learn(seed, rows, size, sharpness):
    targets, probabilities = single_sample(seed, rows, size, sharpness)
    found = evaluate(one_of(size), targets, probabilities, resamples=20)
    decided = probabilities.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of labels that only predictions hold
        expected = {
            "accuracy": reference.accuracy_score(targets, decided),
            "macro_f1": reference.f1_score(targets, decided, average="macro", zero_division=0),
            "weighted_f1": reference.f1_score(
                targets, decided, average="weighted", zero_division=0
            ),
            "balanced_accuracy": reference.balanced_accuracy_score(targets, decided),
            "log_loss": reference.log_loss(targets, probabilities, labels=range(size)),
        }
        columns = reference.precision_recall_fscore_support(
            targets, decided, labels=range(size), zero_division=0
        )
    values = {name: estimate.value for name, estimate in found.values.items()}
    assert values == pytest.approx(expected, abs=1e-12)
    for figures, *row in zip(found.labels.values(), *columns, strict=True):
        got = [figures.precision.value, figures.recall.value, figures.f1.value, figures.support]
        assert got == pytest.approx(row, abs=1e-12)
    matrix = confusion_matrix(one_of(size), targets, probabilities)
    np.testing.assert_array_equal(
        matrix, reference.confusion_matrix(targets, decided, labels=range(size))
    )
    for estimate in found.values.values():
        assert estimate.low <= estimate.value <= estimate.high


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 6), st.floats(0.1, 0.9))
def test_multi_label_figures_equal_scikit_learn(seed, rows, size, threshold):
    targets, probabilities = multi_sample(seed, rows, size)
    task = many_of(size, (threshold,) * size)
    found = evaluate(task, targets, probabilities, resamples=20)
    decided, truth = (probabilities >= threshold).astype(int), targets.astype(int)
    losses = [
        reference.log_loss(truth[:, place], probabilities[:, place], labels=[0, 1])
        for place in range(size)
    ]
    # One column is read as a binary problem by scikit-learn, of which only label 1 is ours.
    options = {"zero_division": 0, "labels": [1] if size == 1 else None}
    expected = {
        "macro_f1": reference.f1_score(truth, decided, average="macro", **options),
        "micro_f1": reference.f1_score(truth, decided, average="micro", **options),
        "accuracy": reference.accuracy_score(truth, decided),
        "hamming_loss": reference.hamming_loss(truth, decided),
        "log_loss": np.mean(losses),
    }
    values = {name: estimate.value for name, estimate in found.values.items()}
    assert values == pytest.approx(expected, abs=1e-12)
    for estimate in found.values.values():
        assert estimate.low <= estimate.value <= estimate.high


def test_decisions_are_those_of_the_task():
    generator = np.random.default_rng(3)
    outputs = Outputs(scores=generator.normal(size=(50, 4)).astype(np.float32))
    task = many_of(4, (0.2, 0.5, 0.7, 0.9))
    targets = task.encode([prediction.labels for prediction in task.decode(outputs)])
    assert evaluate(task, targets, task.probabilities(outputs))["accuracy"].value == 1.0
    assert confusion_matrix(task, targets, task.probabilities(outputs)) is None


def test_the_seed_decides_the_intervals():
    targets, probabilities = single_sample(0, 200, 4)
    first, again = (evaluate(one_of(4), targets, probabilities, seed=5) for _ in range(2))
    other = evaluate(one_of(4), targets, probabilities, seed=6)
    assert first == again
    assert first["macro_f1"] != other["macro_f1"]
    assert first["macro_f1"].value == other["macro_f1"].value


@pytest.mark.parametrize("right", [True, False])
def test_intervals_keep_their_width_where_all_is_right_or_wrong(right):
    targets = np.array([0, 1, 2] * 5)
    answers = targets if right else (targets + 1) % 3
    found = evaluate(one_of(3), targets, np.eye(3)[answers])
    for name in ("accuracy", "macro_f1", "weighted_f1", "balanced_accuracy"):
        assert found[name].value == float(right)
        assert 0.15 < found[name].high - found[name].low < 0.3
    many = evaluate(many_of(3), np.eye(3, dtype=np.float32)[targets], np.eye(3)[answers])
    assert many["micro_f1"].value == float(right)
    for name in ("accuracy", "macro_f1", "micro_f1", "hamming_loss"):
        assert many[name].low <= many[name].value <= many[name].high
        assert many[name].high > many[name].low


def test_intervals_cover_the_truth():
    # True accuracy and macro-F1 from a large sample of the same process.
    truth = evaluate(one_of(4), *single_sample(99, 100_000, 4), resamples=10)
    covered = {"accuracy": 0, "macro_f1": 0, "log_loss": 0}
    for seed in range(60):
        found = evaluate(one_of(4), *single_sample(seed, 250, 4), resamples=300)
        for name in covered:
            covered[name] += found[name].low <= truth[name].value <= found[name].high
    # 95 % of 60 is 57; at or below 51 happens once in 200 such tests.
    assert min(covered.values()) > 51


def test_wilson_against_published_figures():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for hits, trials, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)]:
        estimate = wilson_rate(hits, trials, 0.95)
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson_rate(0, 20, 0.95).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson_rate(0, 0, 0.95).high == 1.0
    f1 = wilson_f1(8, 10, 12, 0.95)
    assert f1.value == pytest.approx(16 / 22)
    assert f1.low < f1.value < f1.high


def test_bounded_time_and_memory():
    targets, probabilities = single_sample(0, 5000, 77)
    started = time.process_time()
    evaluate(one_of(77), targets, probabilities)
    assert time.process_time() - started < 2


def test_paired_difference_is_sharper_than_two_intervals():
    targets, worse = single_sample(1, 400, 5, sharpness=1.5)
    better = worse.copy()
    mended = np.flatnonzero(worse.argmax(axis=1) != targets)[::8]
    better[mended] = np.eye(5)[targets[mended]]
    found = paired_difference(one_of(5), targets, better, worse, metric="accuracy")
    figures = [evaluate(one_of(5), targets, each)["accuracy"] for each in (better, worse)]
    assert found.value == pytest.approx(figures[0].value - figures[1].value)
    assert 0 < found.low < found.value < found.high
    assert figures[0].low < figures[1].high, "two intervals alone could not tell"
    mirrored = paired_difference(one_of(5), targets, worse, better, metric="accuracy")
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_paired_difference_of_equal_models_stays_open():
    targets, probabilities = single_sample(1, 30, 3)
    found = paired_difference(one_of(3), targets, probabilities, probabilities, metric="macro_f1")
    assert found.value == 0
    assert found.low < -0.05 < 0.05 < found.high


def test_paired_difference_knows_each_models_thresholds():
    targets, probabilities = multi_sample(2, 100, 3)
    high, low = many_of(3, (0.99,) * 3), many_of(3, (0.5,) * 3)
    found = paired_difference(
        high, targets, probabilities, probabilities, metric="macro_f1", task_b=low
    )
    assert found.value < 0


def test_nothing_to_judge():
    with pytest.raises(DataError, match="no rows"):
        evaluate(one_of(2), np.empty(0, dtype=np.int64), np.empty((0, 2)))
    with pytest.raises(TrainingError, match="NaN"):
        evaluate(one_of(2), np.array([0]), np.array([[np.nan, 1.0]]))


def test_mistakes_are_the_surest_first():
    texts = ["a", "b", "c", "d"]
    data = Dataset((texts,), None, np.array([11, 12, 13, 14]), "file.csv")
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    found = most_confident_mistakes(one_of(2), data, np.array([1, 1, 1, 0]), probabilities)
    assert [mistake.row for mistake in found] == [12, 14, 11]
    assert (found[0].inputs, found[0].target, found[0].predicted) == (("b",), "label 1", "label 0")
    limited = most_confident_mistakes(
        one_of(2), data, np.array([1, 1, 1, 0]), probabilities, limit=1
    )
    assert [mistake.probability for mistake in limited] == [0.9]


def test_mistakes_hold_no_personal_data():
    data = Dataset((["mail jane.doe@example.com", "b"],), None, np.array([1, 2]))
    found = most_confident_mistakes(
        one_of(2), data, np.array([1, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])
    )
    assert [mistake.inputs[0].partition(" [")[0] for mistake in found] == ["mail"]
    assert "jane.doe" not in str(found)


def test_mistakes_of_many_labels():
    data = Dataset((["a", "b"], [b"\x89PNG", b""]), None, np.array([1, 2]))
    targets = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = most_confident_mistakes(many_of(2), data, targets, np.array([[0.9, 0.1], [0.4, 0.05]]))
    assert [(m.row, m.target, m.predicted) for m in found] == [(2, ("label 1",), ())]
    assert found[0].probability == pytest.approx(0.95)
    assert found[0].inputs == ("b", "(bytes, not shown)")
