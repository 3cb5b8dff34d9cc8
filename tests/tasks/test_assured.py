"""Calibrated tasks: round trips, and what answers say beside the labels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import BundleError, ConfigError
from tunesmith.tasks import (
    Calibration,
    Conformal,
    Field,
    MultiLabelClassification,
    Scope,
    Selective,
    Task,
    TextClassification,
    Wanted,
    from_dict,
    label_sets,
    scope_scores,
)
from tunesmith.testing import TaskContract
from tunesmith.types import LabelPrediction, LabelsPrediction, Outputs

FIELDS = (Field("text"),)
LABELS = ("ham", "eggs", "späm")
KNOTS = tuple(((0.1, 0.5, 0.9), (0.05, 0.4, 0.95)) for _ in LABELS)
CALIBRATIONS = [
    Calibration("temperature", (0.7,)),
    Calibration("vector", (1.2, 0.9, 1.0), (0.1, -0.3, 0.0)),
    Calibration("isotonic", (1.5,), knots=KNOTS),
]
SELECTIVE = Selective(((0.8, 0.0), (0.95, 0.7)), 0.95, 300)
CONFORMAL = Conformal("lac", ((0.9, (0.6,)), (0.95, (0.9, 0.8, 0.7))), 300)
SCOPE = Scope("energy", 1.0, 0.95)
ONE = TextClassification(FIELDS, LABELS, CALIBRATIONS[0], SELECTIVE, CONFORMAL, SCOPE)
MANY = MultiLabelClassification(
    FIELDS, LABELS, (0.2, 0.5, 0.9), Calibration("platt", (1.0, 2.0, 3.0), (0.0, -1.0, 1.0)), SCOPE
)


class TestCalibrated(TaskContract):
    @pytest.fixture(params=CALIBRATIONS, ids=lambda own: own.method)
    def task(self, request: pytest.FixtureRequest) -> Task:
        return replace(ONE, calibration=request.param)


class TestCalibratedLabels(TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return MANY


def outputs(*rows: tuple[float, ...]) -> Outputs:
    return Outputs(scores=np.array(rows, dtype=np.float32))


def test_what_is_not_fitted_is_not_written() -> None:
    plain = TextClassification(FIELDS, LABELS)
    assert list(plain.as_dict()) == ["name", "fields", "labels"]
    several = MultiLabelClassification(FIELDS, LABELS)
    assert list(several.as_dict()) == ["name", "fields", "labels", "thresholds"]


@given(
    st.lists(st.tuples(*(3 * [st.integers(-40, 40)])), min_size=1, max_size=20),
    st.floats(0.02, 50),
)
def test_temperature_never_changes_the_decision(
    rows: list[tuple[int, int, int]], scale: float
) -> None:
    own = outputs(*(tuple(value / 4 for value in row) for row in rows))
    plain = TextClassification(FIELDS, LABELS)
    scaled = replace(plain, calibration=Calibration("temperature", (scale,)))
    before, after = (task.probabilities(own).argmax(axis=1).tolist() for task in (plain, scaled))
    # At a high scale two labels may both round to 1, and the first is taken as among equals.
    for row, first, second in zip(own.scores, before, after, strict=True):
        assert row[first] == row[second] or scale * (row[first] - row[second]) < 1e-12


def test_a_scale_of_one_changes_nothing() -> None:
    own = outputs((1, 2, 3), (0, -5, 5))
    plain = TextClassification(FIELDS, LABELS)
    same = replace(plain, calibration=Calibration("temperature", (1.0,)))
    assert np.array_equal(plain.probabilities(own), same.probabilities(own))
    several = MultiLabelClassification(FIELDS, LABELS)
    neutral = replace(several, calibration=Calibration("platt", (1.0,) * 3, (0.0,) * 3))
    assert np.array_equal(several.probabilities(own), neutral.probabilities(own))


def test_answers_say_what_is_wanted() -> None:
    rows = outputs((5, 0, 0), (1, 0.9, 0), (0, 0, -9))
    plain = ONE.decode(rows)
    assert ONE.decode(rows, Wanted()) == plain
    wanted = ONE.decode(rows, Wanted(precision=0.95, coverage=0.9, scope=True))
    for before, after in zip(plain, wanted, strict=True):
        assert isinstance(after, LabelPrediction)
        assert after == replace(before, **{
            name: getattr(after, name) for name in ("abstained", "label_set", "in_scope")
        })  # fmt: skip
        assert after.abstained == (after.probability < 0.7)
        within = {name for name, p in after.probabilities.items() if 1 - p <= 0.6}
        assert set(after.label_set or ()) == within | {after.label}
        assert (after.label_set or ())[0] == after.label
    assert [own.in_scope for own in wanted] == [True, True, False]
    assert list(wanted[0].as_dict()) == [
        *("label", "probability", "probabilities", "abstained", "label_set", "in_scope")
    ]
    assert list(plain[0].as_dict()) == ["label", "probability", "probabilities"]


def test_each_label_may_have_a_limit_of_its_own() -> None:
    probabilities = np.array([[0.15, 0.25, 0.6]])
    chosen = CONFORMAL.sets(probabilities, 0.95)
    assert chosen.tolist() == [[True, True, True]]
    assert CONFORMAL.sets(probabilities, 0.9).tolist() == [[False, False, True]]


def test_no_set_is_empty() -> None:
    even = np.full((1, 3), 1 / 3)
    for score in ("lac", "raps"):
        assert label_sets(score, even, np.array([0.0])).tolist() == [[True, False, False]]


def test_raps_counts_the_likelier_labels() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3]])
    assert label_sets("raps", probabilities, np.array([0.9])).tolist() == [[False, True, True]]
    assert label_sets("raps", probabilities, np.array([0.89])).tolist() == [[False, True, False]]


def test_several_labels_have_a_scope_only() -> None:
    rows = outputs((1, 2, 3), (-9, -9, -9))
    inside, outside = MANY.decode(rows, Wanted(scope=True))
    assert isinstance(inside, LabelsPrediction)
    assert (inside.in_scope, outside.in_scope) == (True, False)
    assert "in_scope" not in MANY.decode(rows)[0].as_dict()
    with pytest.raises(ConfigError, match="one label a text"):
        MANY.decode(rows, Wanted(coverage=0.9))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(precision=0.97), "precision: 0.97 is no level"),
        (Wanted(coverage=0.5), "ask for one of 0.9, 0.95"),
        (Wanted(abstain_below=1.5), "1.5 is not between 0 and 1"),
        (Wanted(coverage=float("nan")), "nan is not between 0 and 1"),
        (Wanted(abstain_below=0.5, precision=0.95), "leave abstain_below out"),
    ],
)
def test_what_cannot_be_given_is_refused(wanted: Wanted, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ONE.decode(outputs((1, 2, 3)), wanted)


def test_all_faults_are_named_at_once() -> None:
    bare = TextClassification(FIELDS, LABELS)
    with pytest.raises(ConfigError) as caught:
        bare.check(Wanted(precision=0.95, coverage=0.9, scope=True))
    assert [fault.where for fault in caught.value.faults] == ["precision", "coverage", "scope"]
    assert "not given this when it was trained" in caught.value.faults[0].what


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": {"method": "magic", "scale": [1]}},
        {"calibration": {"method": "temperature"}},
        {"calibration": {"method": "temperature", "scale": ["x"]}},
        {"conformal": {**CONFORMAL.as_dict(), "score": "magic"}},
        {"scope": {"score": "magic", "threshold": 0, "accepted": 1}},
        {"selective": {}},
    ],
)
def test_unknown_descriptions_are_refused(change: dict[str, object]) -> None:
    saved = json.loads(json.dumps(ONE.as_dict()))
    with pytest.raises(BundleError):
        from_dict({**saved, **change})


def test_energy_is_the_logarithm_of_the_summed_exponentials() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, 0.0]])
    one = scope_scores("energy", scores, scores, several=False)
    assert one == pytest.approx([np.log(np.exp([1, 2, 3]).sum()), 1000.0])
    many = scope_scores("energy", scores, scores, several=True)
    assert many[0] == pytest.approx(np.log1p(np.exp([1, 2, 3])).sum())
