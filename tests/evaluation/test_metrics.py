"""Figures equal scikit-learn's; intervals hold what they say."""

from __future__ import annotations

import json
import re
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
    mcnemar,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._headline import comparison, span
from tunesmith.evaluation._intervals import area_interval, wilson_f1, wilson_rate
from tunesmith.evaluation._ranking import Curve
from tunesmith.evaluation._saved import metrics_from_dict
from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Dataset, Estimate, Outputs

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


def averages(average, targets, decided, **options):
    """Precision, recall and F1 as scikit-learn averages them."""
    scores = reference.precision_recall_fscore_support(
        targets, decided, average=average, zero_division=0, **options
    )
    return dict(
        zip(
            (f"{average}_{name}" for name in ("precision", "recall", "f1")), scores[:3], strict=True
        )
    )


def areas(truth, probabilities):
    """Each label's ROC-AUC and PR-AUC, or None where they are not defined."""
    return [
        (reference.roc_auc_score(own, scores), reference.average_precision_score(own, scores))
        if 0 < own.sum() < len(own)
        else None
        for own, scores in zip(truth.T, probabilities.T, strict=True)
    ]


def check_areas(found, truth, probabilities):
    expected = areas(truth, probabilities)
    for figures, wanted in zip(found.labels.values(), expected, strict=True):
        got = None if figures.roc_auc is None else (figures.roc_auc.value, figures.pr_auc.value)
        assert got == (None if wanted is None else pytest.approx(wanted, abs=1e-12))
        for area in (figures.roc_auc, figures.pr_auc):
            if area is not None and found.num_examples > 1 and area.has_interval:
                assert 0 <= area.low <= area.value <= area.high <= 1
    known = [wanted for wanted in expected if wanted is not None]
    names = ("macro_roc_auc", "macro_pr_auc")
    if not known:
        assert not set(names) & set(found.values)
        assert any("not defined" in note for note in found.notes)
        return {}
    return dict(zip(names, np.mean(known, axis=0), strict=True))


def check_labels(found, columns):
    """Columns are scikit-learn's with zero_division=nan: what it does not define is None here."""
    for figures, *row in zip(found.labels.values(), *columns, strict=True):
        own = (figures.precision, figures.recall, figures.f1)
        got = [np.nan if figure is None else figure.value for figure in own]
        assert [*got, figures.support] == pytest.approx(row, abs=1e-12, nan_ok=True)


def check_ends(found):
    for name, estimate in found.values.items():
        if found.num_examples == 1 or name == "log_loss":  # whose rows may all have the same loss
            assert found.num_examples > 1 or not estimate.has_interval
            continue
        assert np.isfinite([estimate.low, estimate.value, estimate.high]).all(), name
        assert estimate.low <= estimate.value <= estimate.high, name
        if name not in ("log_loss", "coverage_error", "brier", "mcc"):
            assert estimate.low >= -1e-12, name
            assert estimate.high <= 1 + 1e-12, name


ROWS = st.integers(1, 60)
CLASSES = st.sampled_from(["all", "one", "some"])
TIES = st.booleans()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), ROWS, st.integers(2, 7), st.floats(-1, 4), CLASSES, TIES)
def test_single_label_figures_equal_scikit_learn(seed, rows, size, sharpness, classes, ties):
    targets, probabilities = single_sample(seed, rows, size, sharpness)
    if classes != "all":  # labels that no row has
        targets = np.minimum(targets, 0 if classes == "one" else 1)
    if ties:
        probabilities = np.round(4 * probabilities) + 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = evaluate(one_of(size), targets, probabilities, resamples=20)
    decided, places = probabilities.argmax(axis=1), range(size)
    one_class = len(set(targets)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of labels that only predictions hold
        expected = {
            "accuracy": reference.accuracy_score(targets, decided),
            **averages("macro", targets, decided),
            **averages("weighted", targets, decided),
            **averages("micro", targets, decided),
            "balanced_accuracy": reference.balanced_accuracy_score(targets, decided),
            **({} if one_class else {"mcc": reference.matthews_corrcoef(targets, decided)}),
            "log_loss": reference.log_loss(targets, probabilities, labels=places),
            "brier": reference.brier_score_loss(targets, probabilities, labels=places),
            **{
                f"top_{k}_accuracy": reference.top_k_accuracy_score(
                    targets, probabilities, k=k, labels=places
                )
                for k in (3, 5)
                if k < size
            },
            **check_areas(found, np.eye(size, dtype=int)[targets], probabilities),
        }
        columns = reference.precision_recall_fscore_support(
            targets, decided, labels=places, zero_division=np.nan
        )
    values = {name: estimate.value for name, estimate in found.values.items()}
    assert values == pytest.approx(expected, abs=1e-12)
    check_labels(found, columns)
    matrix = confusion_matrix(one_of(size), targets, probabilities)
    np.testing.assert_array_equal(
        matrix, reference.confusion_matrix(targets, decided, labels=places)
    )
    check_ends(found)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), ROWS, st.integers(1, 6), st.floats(0.1, 0.9), CLASSES, TIES)
def test_multi_label_figures_equal_scikit_learn(seed, rows, size, threshold, classes, ties):
    targets, probabilities = multi_sample(seed, rows, size)
    if classes == "one":  # no row has any label, or none but the first has
        targets[:] = 0
    elif classes == "some":
        targets[:, 1:] = 0
    if ties:
        probabilities = np.round(4 * probabilities) / 4
    task = many_of(size, (threshold,) * size)
    found = evaluate(task, targets, probabilities, resamples=20)
    decided, truth = (probabilities >= threshold).astype(int), targets.astype(int)
    # One column is read as a binary problem by scikit-learn, of which only label 1 is ours.
    options = {"labels": [1] if size == 1 else None}
    expected = {
        **averages("macro", truth, decided, **options),
        **averages("micro", truth, decided, **options),
        **averages("weighted", truth, decided, **options),
        "accuracy": reference.accuracy_score(truth, decided),
        "hamming_loss": reference.hamming_loss(truth, decided),
        "log_loss": np.mean(
            [
                reference.log_loss(truth[:, i], probabilities[:, i], labels=[0, 1])
                for i in range(size)
            ]
        ),
        "brier": np.mean((truth - probabilities) ** 2),
        **check_areas(found, truth, probabilities),
    }
    if size > 1:
        expected |= {
            "label_ranking_average_precision": reference.label_ranking_average_precision_score(
                truth, probabilities
            ),
            "ranking_loss": reference.label_ranking_loss(truth, probabilities),
            "coverage_error": reference.coverage_error(truth, probabilities),
        }
    values = {name: found[name].value for name in expected}
    assert values == pytest.approx(expected, abs=1e-12)
    check_ends(found)


def test_areas_of_samples_equal_scikit_learn_with_weights():
    targets, probabilities = single_sample(4, 80, 3)
    probabilities = np.round(probabilities, 1)  # ties
    weights = np.random.default_rng(0).integers(3, size=(80, 5)).astype(float)
    for place in range(3):
        truth = targets == place
        roc, pr = Curve.of(truth, probabilities[:, place]).areas(weights)
        for column in range(5):
            options = {"sample_weight": weights[:, column]}
            scores = probabilities[:, place]
            assert roc[column] == pytest.approx(reference.roc_auc_score(truth, scores, **options))
            assert pr[column] == pytest.approx(
                reference.average_precision_score(truth, scores, **options)
            )


def test_groups_widen_the_intervals():
    targets, probabilities = single_sample(1, 60, 3)
    many = np.repeat(np.arange(60), 5)  # each row five times: no more is known than of 60 rows
    alone = evaluate(one_of(3), targets, probabilities)
    naive = evaluate(one_of(3), targets[many], probabilities[many])
    grouped = evaluate(one_of(3), targets[many], probabilities[many], groups=many)
    for name in ("accuracy", "macro_f1", "log_loss", "macro_roc_auc", "mcc"):
        widths = [one[name].high - one[name].low for one in (alone, naive, grouped)]
        assert widths[1] < 0.7 * widths[0], name
        assert 0.7 * widths[0] < widths[2] < 1.4 * widths[0], name
    for name in ("recall", "precision", "f1", "roc_auc"):
        own, same, wide = (getattr(one.labels["label 0"], name) for one in (alone, naive, grouped))
        assert same.high - same.low < wide.high - wide.low
        assert wide.high - wide.low == pytest.approx(own.high - own.low, rel=0.4)


def test_groups_of_one_row_change_nothing():
    targets, probabilities = single_sample(1, 100, 3)
    plain = evaluate(one_of(3), targets, probabilities)
    assert evaluate(one_of(3), targets, probabilities, groups=np.arange(100)) == plain


def test_few_rows_are_said():
    targets, probabilities = single_sample(3, 40, 4)
    targets[targets == 3] = 0
    targets[:2] = 3
    notes = evaluate(one_of(5), targets, np.pad(probabilities, ((0, 0), (0, 1)))).notes
    assert re.match(r"40 test rows: intervals are wide, accuracy's \d\d points", notes[0])
    assert notes[1] == ("1 label has fewer than 5 rows, and figures that say little: 'label 3'")
    assert notes[2] == "1 label has no row here, and so no recall: 'label 4'"
    assert "over the 4 of 5 labels" in notes[3]


def test_what_rows_do_not_define_is_not_zero():
    targets = np.array([0, 0, 0, 1, 1, 1])
    given = np.array([0, 0, 2, 0, 0, 0])  # 1 is never given, 2 has no row, 3 has neither
    found = evaluate(one_of(4), targets, 0.6 * np.eye(4)[given] + 0.1)
    zero, one, two, three = found.labels.values()
    assert (zero.precision.value, zero.recall.value) == pytest.approx((2 / 5, 2 / 3))
    assert (one.precision, one.recall.value, one.f1.value) == (None, 0.0, 0.0)
    assert (two.precision.value, two.recall, two.f1.value) == (0.0, None, 0.0)
    assert (three.precision, three.recall, three.f1) == (None, None, None)
    told = "; ".join(found.notes)
    assert "so no recall: 'label 2', 'label 3'; macro recall and F1 count 'label 2' as 0" in told
    assert (
        "1 label has no answer, and so no precision: 'label 1'; macro precision counts it" in told
    )
    # Macro averages stay scikit-learn's own, over the labels that occur.
    assert found["macro_recall"].value == pytest.approx(
        reference.recall_score(targets, given, average="macro", zero_division=0)
    )
    assert found["balanced_accuracy"].value == pytest.approx((2 / 3 + 0) / 2)
    read = metrics_from_dict(json.loads(json.dumps(found.as_dict())))
    assert read == found
    old = found.as_dict()
    old["labels"]["label 2"]["recall"] = {"value": 0.0, "low": 0.0, "high": 1.0}
    assert metrics_from_dict(old).labels["label 2"].recall is None, "older reports said 0"


@pytest.mark.parametrize("groups", [None, np.zeros(6, dtype=np.int64)])
def test_one_row_or_one_group_has_no_interval(groups):
    rows = 1 if groups is None else 6
    targets, probabilities = single_sample(5, rows, 3)
    found = evaluate(one_of(3), targets, probabilities, groups=groups)
    figures = [*found.values.values()]
    for own in found.labels.values():
        figures += [one for one in (own.precision, own.recall, own.f1, own.roc_auc) if one]
    assert not any(one.has_interval for one in figures)
    what = "1 test row: " if rows == 1 else "all 6 test rows are of one group: "
    assert found.notes[0].startswith(f"{what}no interval can be had")
    text = json.dumps(found.as_dict())
    assert "Infinity" not in text
    assert metrics_from_dict(json.loads(text)) == found
    assert span("accuracy", found["accuracy"]) == "–"
    difference = paired_difference(
        one_of(3), targets, probabilities, probabilities[:, ::-1], metric="accuracy", groups=groups
    )
    assert not difference.has_interval
    said = comparison("accuracy", difference, "the other")
    assert said.startswith("NOT significantly better than the other (")
    assert said.endswith("no interval can be had)")


def test_a_label_with_one_row_has_no_interval_and_the_others_do():
    targets = np.array([0] * 30 + [1] * 30 + [2])
    probabilities = np.full((61, 3), 0.1) + 0.7 * np.eye(3)[targets]
    probabilities[:5] = probabilities[:5, ::-1]
    found = evaluate(one_of(3), targets, probabilities)
    assert found.labels["label 2"].recall == Estimate.alone(1.0)
    assert found.labels["label 0"].recall.has_interval
    assert all(one.has_interval for one in found.values.values())


def test_one_class_only():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    found = evaluate(one_of(2), np.zeros(3, dtype=np.int64), probabilities)
    assert found["accuracy"].value == pytest.approx(2 / 3)
    assert not {"mcc", "macro_roc_auc", "macro_pr_auc"} & set(found.values)
    assert "Matthews' correlation is not defined: all rows have the label 'label 0'" in found.notes
    assert "NaN" not in json.dumps(found.as_dict())


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


def test_the_score_interval_of_an_area():
    # Both ends are where the area found is z standard errors away (Newcombe 2006, method 5).
    found = area_interval(0.9, 20, 30, 0.95)
    for end in (found.low, found.high):
        spread = (1 - end) / (2 - end) + end / (1 + end)
        variance = end * (1 - end) * (1 + 24 * spread) / 600
        assert abs(end - 0.9) == pytest.approx(1.959964 * variance**0.5, rel=1e-4)
    perfect = area_interval(1.0, 5, 50, 0.95)
    assert 0.6 < perfect.low < 0.95
    assert perfect.high == 1.0


def test_mcnemar():
    # 10 rows that b alone gets right and 2 that a alone does: 2 * P(X <= 2 of 12) = 0.0386.
    targets = np.zeros(20, dtype=np.int64)
    right, wrong = np.array([0.9, 0.1]), np.array([0.1, 0.9])
    a = np.array([right] * 2 + [wrong] * 10 + [right] * 8)
    b = np.array([wrong] * 2 + [right] * 18)
    found = mcnemar(one_of(2), targets, a, b)
    assert (found.only_a, found.only_b) == (2, 10)
    assert found.exact_p_value == pytest.approx(158 / 4096)
    assert found.p_value == pytest.approx(158 / 4096 - 66 / 4096)
    assert mcnemar(one_of(2), targets, a, a).p_value == 1.0
    assert mcnemar(many_of(2), np.zeros((20, 2)), a, b) is None


def test_paired_difference_of_areas_and_losses():
    targets, worse = single_sample(1, 200, 4, sharpness=1.0)
    _, better = single_sample(1, 200, 4, sharpness=2.0)
    for metric, sign in (("macro_roc_auc", 1), ("macro_pr_auc", 1), ("log_loss", -1)):
        found = paired_difference(one_of(4), targets, better, worse, metric=metric)
        assert sign * found.low > 0, metric
        assert sign * found.high > 0, metric


def test_bounded_time_and_memory():
    targets, probabilities = single_sample(0, 5000, 77)
    started = time.process_time()
    evaluate(one_of(77), targets, probabilities)
    assert time.process_time() - started < 20


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
