"""Figures over folds, and what is shown of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunesmith.errors import BundleError
from tunesmith.evaluation import CrossValidation, FoldFigures, evaluate, spread
from tunesmith.tasks import Field, TextClassification

HOSTILE = "<script>alert(1)</script>|'\"&"
FIGURES = st.lists(st.floats(0, 1), min_size=2, max_size=20)


def result(num_folds: int = 5, right: float = 0.8) -> CrossValidation:
    task = TextClassification((Field("text"),), ("a", HOSTILE))
    generator = np.random.default_rng(0)
    targets = np.arange(100) % 2
    sure = np.where(generator.random(100) < right, 0.9, 0.1)
    chances = np.stack([1 - sure, sure], axis=1)
    chances[targets == 0] = chances[targets == 0][:, ::-1]
    folds = tuple(
        FoldFigures(1, n + 1, 72, 8, 20, "probe", 1.5, {
            "majority class": {"accuracy": 0.5, "macro_f1": 0.3, "log_loss": 0.7},
            "model": {"accuracy": right + 0.01 * n, "macro_f1": right, "log_loss": 0.4},
        })
        for n in range(num_folds)
    )  # fmt: skip
    return CrossValidation(
        title=HOSTILE, task=task.as_dict(), created="2026-01-01T00:00:00+00:00",
        num_folds=num_folds, repeats=1, candidates=("majority class", "model"), folds=folds,
        pooled=evaluate(task, targets, chances, resamples=100), confidence=0.95,
        data={"source": HOSTILE, "fingerprint": "f"},
        base={"id": "minilm", "family": "bert", "digest": "d"}, config={}, versions={},
        machine="a machine", seconds=1.0, notes=(HOSTILE,),
    )  # fmt: skip


@given(FIGURES, st.floats(0, 1), st.floats(0.6, 0.99))
def test_the_interval_is_students_with_the_corrected_variance(
    values: list[float], ratio: float, confidence: float
) -> None:
    found = spread(values, ratio=ratio, confidence=confidence)
    error = np.std(values, ddof=1) * np.sqrt(1 / len(values) + ratio)
    if error == 0:
        assert found.low == found.mean == found.high
        return
    low, high = stats.t.interval(confidence, len(values) - 1, np.mean(values), error)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_the_correction_covers_what_the_usual_interval_does_not() -> None:
    """Folds of a mean estimator share rows as trainings do: the usual t interval is too short."""
    generator, covered = np.random.default_rng(1), np.zeros(2)
    for _ in range(400):
        # Figures with the correlation that the correction assumes, held out / all rows.
        common, own = generator.normal(0, np.sqrt(0.2)), generator.normal(0, np.sqrt(0.8), 5)
        for place, ratio in enumerate((0.0, 0.25)):
            found = spread((common + own).tolist(), ratio=ratio, confidence=0.95)
            covered[place] += found.low <= 0 <= found.high
    usual, corrected = covered / 400
    assert usual < 0.9
    assert 0.93 <= corrected <= 0.97


def test_bounds_hold_and_differences_are_paired() -> None:
    near_one = spread([1.0, 0.99, 1.0], ratio=0.5, confidence=0.95, bounds=(0, 1))
    assert near_one.high == 1
    own = result()
    assert own.difference("majority class").mean == pytest.approx(0.32)
    assert own.difference("majority class").deviation == pytest.approx(
        own.spread("model", "accuracy").deviation
    )
    assert "points" in own.headline()
    assert own.headline().startswith("model, 5 folds: 82.0 % accuracy")


def test_folds_that_agree_are_not_taken_for_certainty() -> None:
    own = result()
    same = tuple(
        replace(one, values={**one.values, "model": {"accuracy": 1.0}}) for one in own.folds
    )
    sure = replace(own, folds=same).spread("model", "accuracy")
    assert sure.deviation == 0
    assert sure.low < 1


def test_json_and_back(tmp_path: Path) -> None:
    own = result()
    own.write(tmp_path)
    saved = json.loads((tmp_path / "cross_validation.json").read_text(encoding="utf-8"))
    assert saved["schema_version"] == 1
    assert CrossValidation.from_dict(saved).as_dict() == own.as_dict()
    with pytest.raises(BundleError, match="format 9"):
        CrossValidation.from_dict({**saved, "schema_version": 9})
    with pytest.raises(BundleError, match="incomplete"):
        CrossValidation.from_dict({"schema_version": 1})


def test_the_page_loads_nothing_and_holds_no_markup_of_the_data() -> None:
    page = result().to_html()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)\s*=|url\(|https?://""", page)
    assert "<script" not in result()._repr_html_()
