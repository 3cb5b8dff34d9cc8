"""The distillation gate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import ConfigError
from tunesmith.optimization import StudentParity, StudentTolerances, judge_student
from tunesmith.tasks import Calibration, Field, MultiLabelClassification, Task, TextClassification
from tunesmith.types import Estimate, Outputs

TASK = TextClassification((Field("text"),), ("a", "b", "c"))
SEVERAL = MultiLabelClassification((Field("text"),), ("a", "b", "c"), thresholds=(0.5, 0.5, 0.5))
SAME = Estimate(0.9, 0.85, 0.95)


def scores(seed: int = 0, size: float = 4.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (size * generator.normal(size=(200, 3))).astype(np.float32)


def judge(
    found: np.ndarray,
    task: Task = TASK,
    *,
    change: float = 0.0,
    tolerances: StudentTolerances | None = None,
    student: Task | None = None,
) -> StudentParity:
    return judge_student(
        (task, student or task),
        (Outputs(scores=scores()), Outputs(scores=found)),
        tolerances or StudentTolerances(),
        metric="accuracy",
        values=(SAME, SAME),
        change=Estimate(change, change - 0.01, change + 0.01),
    )


@pytest.mark.parametrize("task", [TASK, SEVERAL])
def test_its_teachers_answers_pass(task: Task) -> None:
    parity = judge(scores(), task)
    assert parity.verified
    assert (parity.agreement, parity.largest_difference, parity.num_rows) == (1.0, 0.0, 200)
    assert json.loads(json.dumps(parity.as_dict()))["change"]["value"] == 0.0


@pytest.mark.parametrize("task", [TASK, SEVERAL])
def test_other_labels_are_refused(task: Task) -> None:
    parity = judge(scores(seed=1), task)
    assert not parity.verified
    assert any(reason.startswith("agrees on") for reason in parity.refused_for)


def test_a_drop_is_refused_and_a_gain_is_not() -> None:
    assert judge(scores(), change=-0.012).refused_for == (
        "drops by 1.20 points of accuracy, more than 0.3",
    )
    allowed = StudentTolerances(max_drop=1.5)
    assert judge(scores(), change=-0.012, tolerances=allowed).verified
    assert judge(scores(), change=0.05).verified
    assert not judge(scores(), change=float("nan")).verified


def test_probabilities_are_those_that_each_is_served_with() -> None:
    """They may differ, as a student is calibrated by itself; the labels are the same."""
    cooler = replace(TASK, calibration=Calibration("temperature", (0.5,)))
    parity = judge(scores(), student=cooler)
    assert parity.verified
    assert parity.agreement == 1.0
    assert parity.largest_difference > 0.1


def test_many_rows_may_differ_a_little() -> None:
    noise = 0.4 * np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32)
    parity = judge(scores() + noise)
    assert 0.9 <= parity.agreement < 0.99
    assert parity.verified


@pytest.mark.parametrize(
    ("name", "value"), [("max_drop", -0.1), ("max_drop", 101), ("min_agreement", 1.1)]
)
def test_tolerances_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match="must be between 0 and"):
        StudentTolerances(**{name: value})
