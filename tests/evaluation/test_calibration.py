"""Calibration, abstaining, sets of labels and scope: fits, guarantees, figures, sections."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from tunesmith.evaluation import (
    CalibrationSection,
    Report,
    auroc,
    calibration_change,
    calibration_figures,
    conformal_section,
    fit_calibration,
    fit_conformal,
    fit_scope,
    fit_selective,
    scope_section,
    selective_section,
)
from tunesmith.evaluation._sections import READERS
from tunesmith.evaluation._selective import Promised
from tunesmith.tasks import (
    Conformal,
    Field,
    MultiLabelClassification,
    Selective,
    TextClassification,
    softmax,
)
from tunesmith.types import Estimate, Outputs

from .test_report import Page, make_report

FIELDS = (Field("text"),)


def one(size=4):
    return TextClassification(FIELDS, tuple(f"label {place}" for place in range(size)))


def many(size=3):
    return MultiLabelClassification(FIELDS, tuple(f"label {place}" for place in range(size)))


def sample(rows, size=4, *, scale=1.0, seed=0, shift=None):
    """Scores whose softmax, times `scale`, is the truth's distribution."""
    generator = np.random.default_rng(seed)
    true = generator.normal(size=(rows, size)) * 2
    if shift is not None:
        true = true + shift
    targets = (true + generator.gumbel(size=true.shape)).argmax(axis=1)
    return (true / scale).astype(np.float32), targets


def sample_many(rows, size=3, *, scale=1.0, seed=0, shift=0.0):
    generator = np.random.default_rng(seed)
    true = generator.normal(size=(rows, size)) * 2 + shift
    targets = (generator.random(true.shape) < 1 / (1 + np.exp(-true))).astype(np.float32)
    return (true / scale).astype(np.float32), targets


def plain_ece(said, right, bins=15):
    """The definition, bin by bin."""
    error = 0.0
    for place in range(bins):
        inside = (said > place / bins) & (said <= (place + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - said[inside].mean())
    return error


@pytest.mark.parametrize("scale", [0.4, 0.8, 3.0])
def test_the_temperature_is_found_again(scale):
    scores, targets = sample(4000, scale=scale)
    fitted = fit_calibration(one(), scores, targets)
    assert fitted.calibration.method == "temperature"
    assert fitted.calibration.scale[0] == pytest.approx(scale, rel=0.06)


def test_vector_scaling_where_labels_are_shifted():
    shift = np.array([2.0, 0.0, -2.0, 0.0])
    scores, targets = sample(3000, shift=shift)
    fitted = fit_calibration(one(), scores - shift.astype(np.float32), targets)
    assert fitted.calibration.method == "vector"
    found = np.array(fitted.calibration.shift)
    assert found - found.mean() == pytest.approx(shift, abs=0.4)
    assert fitted.losses["vector"] < fitted.losses["temperature"] < fitted.losses["none"]


def test_isotonic_where_no_line_fits():
    generator = np.random.default_rng(0)
    side = generator.normal(size=6000)
    chance = np.where(np.abs(side) < 1, 0.5 + 0.05 * np.sign(side), 0.5 + 0.45 * np.sign(side))
    targets = (generator.random(6000) < chance).astype(np.int64)
    scores = np.column_stack([np.zeros(6000), 2 * side]).astype(np.float32)
    fitted = fit_calibration(one(2), scores, targets)
    assert fitted.calibration.method == "isotonic"
    probabilities = fitted.calibration.of_one(scores)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_several_labels_get_a_line_each():
    scores, targets = sample_many(3000, shift=np.array([2.0, 0.0, -2.0]))
    raw = scores - np.array([2.0, 0.0, -2.0], dtype=np.float32)
    fitted = fit_calibration(many(), raw, targets)
    assert fitted.calibration.method == "platt"
    assert fitted.calibration.shift == pytest.approx((2.0, 0.0, -2.0), abs=0.3)


def test_a_label_without_rows_stays_near_the_others():
    scores, targets = sample_many(2000, scale=2.0)
    raw = np.column_stack([scores, np.full(2000, -8, dtype=np.float32)])
    truth = np.column_stack([targets, np.zeros(2000, dtype=np.float32)])
    fitted = fit_calibration(many(4), raw, truth)
    probabilities = fitted.calibration.of_many(raw)
    assert np.isfinite(probabilities).all()
    assert fitted.calibration.scale[-1] == pytest.approx(2.0, rel=0.5)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(50, 200), st.integers(2, 5), st.floats(0.2, 5))
def test_never_worse_on_the_fitted_rows(seed, rows, size, scale):
    scores, targets = sample(rows, size, scale=scale, seed=seed)
    fitted = fit_calibration(one(size), scores, targets)
    places = np.arange(size)
    if fitted.calibration is None:
        return
    before = log_loss(targets, softmax(scores), labels=places)
    after = log_loss(targets, fitted.calibration.of_one(scores), labels=places)
    if fitted.calibration.method != "isotonic":
        assert after <= before + 1e-9


def test_rows_that_are_all_right_do_not_make_it_certain():
    targets = np.arange(100) % 4
    scores = (5 * np.eye(4)[targets]).astype(np.float32)
    fitted = fit_calibration(one(), scores, targets)
    assert 1 <= fitted.calibration.scale[0] < 3


def test_none_where_the_model_is_calibrated():
    found = []
    for seed in range(20):
        scores, targets = sample(500, seed=seed)
        fitted = fit_calibration(one(), scores, targets)
        assert (fitted.calibration is None) == (fitted.chosen == "none")
        found.append(fitted.chosen)
    assert found.count("none") >= 10


def test_too_few_rows():
    scores, targets = sample(49)
    assert fit_calibration(one(), scores, targets) is None


def test_held_out_probabilities_are_of_other_rows():
    scores, targets = sample(500, scale=2.0)
    fitted = fit_calibration(one(), scores, targets)
    again = fit_calibration(one(), scores, targets)
    assert np.array_equal(fitted.held_out, again.held_out)
    own = fitted.calibration.of_one(scores)
    assert not np.array_equal(fitted.held_out, own)
    assert fitted.held_out == pytest.approx(own, abs=0.05)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 300), st.integers(2, 5))
def test_figures_equal_plain_references(seed, rows, size):
    scores, targets = sample(rows, size, seed=seed)
    probabilities = softmax(scores)
    found = calibration_figures(one(size), targets, probabilities, resamples=20)
    said, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    assert found.ece.value == pytest.approx(plain_ece(said, right))
    classwise = np.mean([plain_ece(probabilities[:, k], targets == k) for k in range(size)])
    assert found.classwise_ece.value == pytest.approx(classwise)
    order = np.argsort(said, kind="stable")
    groups = np.arange(rows) * 15 // rows
    adaptive = sum(
        abs((right[order][groups == g] - said[order][groups == g]).sum()) for g in range(15)
    )
    assert found.adaptive_ece.value == pytest.approx(adaptive / rows)
    assert found.log_loss.value == pytest.approx(
        log_loss(targets, probabilities, labels=np.arange(size))
    )
    brier = ((probabilities - np.eye(size)[targets]) ** 2).sum(axis=1).mean()
    assert found.brier.value == pytest.approx(brier)
    for name in ("ece", "adaptive_ece", "classwise_ece", "brier", "log_loss"):
        own = getattr(found, name)
        assert own.low <= own.value <= own.high
    assert sum(entry.count for entry in found.bins) == rows


def test_figures_of_several_labels():
    scores, targets = sample_many(300)
    task = many()
    probabilities = task.probabilities(Outputs(scores=scores))
    found = calibration_figures(task, targets, probabilities, resamples=20)
    assert found.ece.value == pytest.approx(plain_ece(probabilities.ravel(), targets.ravel()))
    own = [brier_score_loss(targets[:, k], probabilities[:, k]) for k in range(3)]
    assert found.brier.value == pytest.approx(np.mean(own))


def test_the_error_of_a_calibrated_model_is_near_zero():
    scores, targets = sample(3000)
    good = calibration_figures(one(), targets, softmax(scores))
    bad = calibration_figures(one(), targets, softmax(3 * scores))
    assert good.ece.low < 0.01
    assert bad.ece.low > 0.1


def test_what_chance_alone_would_show():
    scores, _ = sample(500)
    probabilities = softmax(scores)
    said = probabilities.max(axis=1)
    generator = np.random.default_rng(0)
    drawn = [plain_ece(said, generator.random(500) < said) for _ in range(300)]
    targets = probabilities.argmax(axis=1)
    found = calibration_figures(one(), targets, probabilities, resamples=20)
    assert found.chance == pytest.approx(np.mean(drawn), rel=0.1)


def test_very_many_cells_leave_the_error_by_label_out(monkeypatch):
    monkeypatch.setattr("tunesmith.evaluation._calibration_sums.MOST_CELLS", 100)
    scores, targets = sample(200)
    found = calibration_figures(one(), targets, softmax(scores), resamples=20)
    assert found.classwise_ece is None


@pytest.mark.parametrize("score", ["lac", "raps"])
def test_conformal_coverage_holds(score):
    reached = []
    for seed in range(200):
        scores, targets = sample(400, seed=seed)
        probabilities = softmax(scores)
        conformal = fit_conformal(probabilities[:100], targets[:100], score=score)
        sets = conformal.sets(probabilities[100:], 0.9)
        reached.append(sets[np.arange(300), targets[100:]].mean())
    # The mean of 200 has a standard error of 0.2 points.
    assert np.mean(reached) > 0.894
    if score == "lac":
        assert np.mean(reached) < 0.92


def test_conformal_quantile_is_corrected_for_few_rows():
    targets = np.zeros(19, dtype=np.int64)
    right = np.linspace(0.05, 0.95, 19)
    conformal = fit_conformal(np.column_stack([right, 1 - right]), targets)
    assert [level for level, _ in conformal.quantiles] == [0.8, 0.85, 0.9, 0.95]
    assert conformal.limits(0.9) == pytest.approx([1 - np.sort(right)[1]])
    assert conformal.limits(0.95) == pytest.approx([0.95])


def test_labels_with_many_rows_have_quantiles_of_their_own():
    shift = np.array([4.0, 0.0, 0.0, -3.0])
    scores, targets = sample(2000, shift=shift)
    conformal = fit_conformal(softmax(scores), targets)
    counts = np.bincount(targets)
    assert counts[3] < 100 <= counts[2]
    limits = conformal.limits(0.9)
    assert len(limits) == 4
    scores, targets = sample(20_000, shift=shift, seed=1)
    sets = conformal.sets(softmax(scores), 0.9)
    hits = sets[np.arange(len(targets)), targets]
    for label in range(3):
        assert hits[targets == label].mean() > 0.85


def test_the_promised_precision_is_kept():
    broken = 0
    for seed in range(100):
        scores, targets = sample(3000, seed=seed)
        probabilities = softmax(scores)
        selective = fit_selective(probabilities[:500], targets[:500])
        threshold = dict(selective.thresholds).get(0.9)
        if threshold is None:
            continue
        own = probabilities[500:]
        given_ = own.max(axis=1) >= threshold
        right = own.argmax(axis=1) == targets[500:]
        broken += right[given_].mean() < 0.9
    # The test rows' own chance adds to the 5 % that is allowed.
    assert broken <= 12


def test_all_may_be_answered_where_the_model_is_good_enough():
    targets = np.arange(200) % 4
    probabilities = np.full((200, 4), 0.02)
    probabilities[np.arange(200), targets] = 0.94
    selective = fit_selective(probabilities, targets)
    assert dict(selective.thresholds)[0.9] == 0.0
    assert 0.99 not in dict(selective.thresholds)


def test_a_model_that_is_always_wrong_promises_nothing():
    targets = np.arange(200) % 4
    probabilities = softmax(5.0 * np.eye(4)[(targets + 1) % 4])
    assert fit_selective(probabilities, targets).thresholds == ()


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 60))
def test_auroc_is_that_of_scikit_learn(seed, inside, outside):
    generator = np.random.default_rng(seed)
    first = generator.integers(0, 8, size=inside).astype(np.float64)
    second = generator.integers(0, 6, size=outside).astype(np.float64)
    truth = np.repeat([1, 0], [inside, outside])
    assert auroc(first, second) == pytest.approx(roc_auc_score(truth, np.append(first, second)))


def sections():
    scores, targets = sample(400, scale=3.0)
    task = one()
    fitted = fit_calibration(task, scores, targets)
    shipped = replace(
        task,
        calibration=fitted.calibration,
        selective=fit_selective(fitted.held_out, targets),
        conformal=fit_conformal(fitted.held_out, targets),
        scope=fit_scope(task, scores, fitted.held_out),
    )
    test, truth = sample(300, scale=3.0, seed=1)
    probabilities = shipped.probabilities(Outputs(scores=test))
    outside = {
        "noise": np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32) / 9 - 2,
        "far": np.full((30, 4), -9, dtype=np.float32),
    }
    before, after = (
        calibration_figures(own, truth, own.probabilities(Outputs(scores=test)), resamples=50)
        for own in (task, shipped)
    )
    change = calibration_change(
        truth, *(own.probabilities(Outputs(scores=test)) for own in (task, shipped)), resamples=50
    )
    return [
        CalibrationSection("temperature", before, after, 300, 0.95, change),
        CalibrationSection(None, before, None, 300, 0.95),
        selective_section(shipped, truth, probabilities, shipped.selective, resamples=50),
        conformal_section(shipped, truth, probabilities, shipped.conformal, resamples=50),
        scope_section(shipped, shipped.scope, test, outside, resamples=50),
    ]


def test_promises_that_the_test_rows_did_not_keep_are_said_and_marked():
    task = replace(one(), selective=Selective(((0.8, 0.1), (0.99, 0.2)), 0.95, 100))
    conformal = Conformal("lac", ((0.5, (2.0,)), (0.95, (0.35,))), 100)
    truth = np.arange(200) % 4
    given = np.where(np.arange(200) < 20, (truth + 1) % 4, truth)
    probabilities = 0.6 * np.eye(4)[given] + 0.1
    parts = (
        selective_section(task, truth, probabilities, task.selective, resamples=50),
        conformal_section(task, truth, probabilities, conformal, resamples=50),
    )
    report = replace(make_report(), sections=parts)
    first, second = report.broken_promises
    assert first.startswith("--precision 0.99 was NOT kept on the test rows: 90.0 % (")
    assert first.endswith(" right, clearly less than promised")
    assert second.startswith("--coverage 0.95 was NOT kept on the test rows: 90.0 % (")
    page = report.to_html()
    assert page.count('title="not kept on the test rows">!</span>') == 2
    assert page.count("was NOT kept on the test rows") == 4, "in its section, and worth knowing"
    near = Promised(0.92, 0.2, Estimate(1.0, 0.9, 1.0), Estimate(0.9, 0.85, 0.94))
    (said,) = replace(parts[0], promised=(near,)).broken()
    assert said.endswith("which may be chance")
    nothing = replace(near, coverage=Estimate(0.0, 0.0, 0.1), reached=Estimate.alone(0.0))
    assert replace(parts[0], promised=(nothing,)).broken() == (), "no answer breaks no promise"


@pytest.mark.parametrize(
    ("factors", "words", "is_worse"),
    [
        ((3.0, 1.0), ") better than before", False),
        ((1.0, 0.3), ") worse than before", True),
        ((1.0, 0.99), "NOT significantly better than before", False),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_what_calibration_did_is_said(factors, words, is_worse, several):
    """The scores are right as they are; the factors are what they are multiplied by."""
    scores, truth = (sample_many if several else sample)(1500)
    task = many() if several else one()
    before, after = (task.probabilities(Outputs(scores=by * scores)) for by in factors)
    change = calibration_change(truth, before, after, resamples=200)
    figures = [calibration_figures(task, truth, own, resamples=20) for own in (before, after)]
    for name in ("ece", "log_loss"):
        sizes = [getattr(own, name).value for own in figures]
        assert change[name].value == pytest.approx(sizes[1] - sizes[0])
        assert change[name].low <= change[name].value <= change[name].high
    section = CalibrationSection("temperature", *figures, len(truth), 0.95, change)
    assert section.is_worse is is_worse
    (sentence,) = section.sentences()
    error, loss = sentence.split("; calibration error ")[1].split(" and log loss ")
    assert words in error
    assert words in loss


def test_copies_of_rows_make_the_change_no_surer():
    scores, truth = sample(100)
    before, after = (one().probabilities(Outputs(scores=by * scores)) for by in (3.0, 1.0))
    alone = calibration_change(truth, before, after)
    places = np.tile(np.arange(100), 4)
    copied = calibration_change(truth[places], before[places], after[places], groups=places)
    for name, change in alone.items():
        assert copied[name].value == pytest.approx(change.value)
        assert copied[name].high - copied[name].low == pytest.approx(change.high - change.low)
    loose = calibration_change(truth[places], before[places], after[places])
    width = {name: change.high - change.low for name, change in alone.items()}
    assert loose["log_loss"].high - loose["log_loss"].low < 0.7 * width["log_loss"]


def test_of_few_rows_or_groups_no_change_is_claimed():
    scores, truth = sample(60)
    before, after = (one().probabilities(Outputs(scores=by * scores)) for by in (3.0, 1.0))
    assert calibration_change(truth, before, after)
    assert calibration_change(truth[:49], before[:49], after[:49]) == {}
    assert calibration_change(truth, before, after, groups=np.arange(60) // 2) == {}


def test_an_older_report_says_no_change():
    saved = sections()[0].as_dict()
    del saved["change"]
    section = CalibrationSection.from_dict(saved)
    assert section.change is None
    assert not section.is_worse


@pytest.fixture(scope="module", params=range(5))
def section(request):
    return sections()[request.param]


def test_sections_survive_json(section):
    saved = json.loads(json.dumps(section.as_dict(), allow_nan=False))
    again = READERS[section.name](saved)
    assert again == section
    assert again.as_dict() == section.as_dict()


def test_sections_are_drawn(section):
    report = replace(make_report(), sections=(section,))
    Page(report.to_html())
    assert Report.from_dict(report.as_dict()).sections == (section,)
    for sentence in section.sentences():
        assert not sentence.endswith(".")


def test_the_calibration_section_has_the_error_before_and_after():
    own = sections()[0]
    ece = own.as_dict()["ece"]
    assert ece["after"]["value"] < ece["before"]["value"] / 2
    assert set(ece["before"]) == {"value", "low", "high"}


def test_risk_and_coverage():
    own = sections()[2]
    assert own.aurc.value < own.random
    assert own.curve[-1] == (1.0, pytest.approx(own.random))
    assert own.answered[0].accuracy.value == pytest.approx(1 - own.random)
    assert own.answered[-1].accuracy.value > own.answered[0].accuracy.value


def test_noise_is_told_apart():
    own = sections()[4]
    assert [entry.kind for entry in own.outside] == ["noise", "far", "all of them"]
    assert own.outside[-1].num_rows == 80
    assert own.as_dict()["auroc"]["low"] > 0.8
    assert own.accepted.value > 0.9
    everything = own.outside[1].auroc["energy"]
    assert everything.low <= everything.value <= everything.high
