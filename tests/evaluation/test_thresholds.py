from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.evaluation import choose_thresholds


def macro_f1(targets, probabilities, thresholds):
    given_labels = probabilities >= np.asarray(thresholds)
    hits = (given_labels & (targets > 0.5)).sum(axis=0)
    below = given_labels.sum(axis=0) + targets.sum(axis=0)
    return float(np.mean(2 * hits / np.maximum(below, 1)))


def sample(seed, rows=600):
    """Three labels whose probabilities are too low, the last of which is rare."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((rows, 3)) < [0.4, 0.2, 0.01]).astype(np.float32)
    centres = np.where(targets > 0.5, [0.35, 0.25, 0.4], [0.15, 0.05, 0.1])
    return targets, np.clip(generator.normal(centres, 0.07), 0, 1)


def test_better_than_one_half_on_rows_not_seen():
    chosen = choose_thresholds(*sample(0))
    targets, probabilities = sample(1)
    half = macro_f1(targets, probabilities, (0.5,) * 3)
    assert macro_f1(targets, probabilities, chosen) > half + 0.3


def test_rare_labels_stay_near_the_shared_threshold():
    generator = np.random.default_rng(2)
    targets, probabilities = sample(2)
    targets = np.column_stack([targets[:, :2], np.zeros(len(targets)), np.zeros(len(targets))])
    probabilities = np.column_stack([probabilities, generator.random(len(targets))])
    targets[0, 2], probabilities[0, 2] = 1, 0.99
    common, _, rare, never = choose_thresholds(targets.astype(np.float32), probabilities)
    shared = never
    assert abs(rare - shared) < 0.1, "one positive at 0.99 must not pull the threshold there"
    assert abs(common - 0.25) < 0.06


def test_no_positives_at_all():
    assert choose_thresholds(np.zeros((5, 2), np.float32), np.full((5, 2), 0.3)) == (0.5, 0.5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 5))
def test_always_probabilities(seed, rows, labels):
    generator = np.random.default_rng(seed)
    targets = generator.integers(2, size=(rows, labels)).astype(np.float32)
    probabilities = generator.integers(0, 3, size=(rows, labels)) / 2.0
    chosen = choose_thresholds(targets, probabilities)
    assert len(chosen) == labels
    assert all(0 < threshold < 1 for threshold in chosen)
    assert chosen == choose_thresholds(targets, probabilities)
