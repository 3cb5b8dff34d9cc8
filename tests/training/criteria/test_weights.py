"""Balanced weights: equal shares for labels, the same mean, and no label that leads alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.training.criteria import balanced_weights


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=100).map(lambda more: np.array([*range(5), *more])))
def test_all_labels_weigh_the_same_in_all(targets: NDArray[np.int64]) -> None:
    weights, counts = balanced_weights(targets, 5), np.bincount(targets)
    if (len(targets) / (5 * counts)).max() <= 10:
        assert weights * counts == pytest.approx(np.full(5, len(targets) / 5), rel=1e-5)
    assert weights[targets].mean() == pytest.approx(1, rel=1e-5)


def test_a_rare_label_weighs_ten_times_as_much_at_most() -> None:
    targets = np.array([0] * 990 + [1] * 9 + [2])
    weights = balanced_weights(targets, 3)
    assert weights.dtype == np.float32
    assert weights[1] == weights[2] > 10
    assert weights[targets].mean() == pytest.approx(1)


def test_a_label_without_rows_has_a_finite_weight() -> None:
    for targets in (np.array([0, 0, 1]), np.array([[1.0, 0, 0], [1, 0, 0]], np.float32)):
        weights = balanced_weights(targets, 3)
        assert weights.shape == (3,)
        assert np.isfinite(weights).all()


def test_of_several_labels_the_rare_weigh_more_and_none_less() -> None:
    targets = np.zeros((100, 4), np.float32)
    for label, count in enumerate((80, 50, 20, 1)):
        targets[:count, label] = 1
    assert balanced_weights(targets, 4).tolist() == [1, 1, 4, 10]
