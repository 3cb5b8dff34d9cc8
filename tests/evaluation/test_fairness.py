"""Rates of groups and the gaps between them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunesmith.evaluation._fairness import Fairness, judge_fairness

from .rows_for_tests import ONE, SEVERAL, answers


def rows(seed=0, num_rows=600, faults=0.0):
    """Rows of three groups; of one of them a share of the rows with "a" is denied it."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=num_rows)
    groups = np.array(["x", "y", "z"], dtype=object)[generator.integers(3, size=num_rows)]
    wrong = generator.random(num_rows) < 0.1
    wrong |= (groups == "x") & (targets == 0) & (generator.random(num_rows) < faults)
    return targets, answers(targets, wrong), groups


def test_rates_are_what_they_are_called():
    targets, probabilities, groups = rows(faults=0.5)
    found = judge_fairness(ONE, targets, probabilities, "team", groups.tolist())
    given = probabilities.argmax(axis=1)
    for group in found.groups:
        own = groups == group.value
        assert group.num_rows == own.sum()
        assert group.accuracy.value == pytest.approx((given == targets)[own].mean())
        for place, label in enumerate(ONE.labels):
            has, got = targets[own] == place, given[own] == place
            assert group.selection_rate[label].value == pytest.approx(got.mean())
            assert group.true_positive_rate[label].value == pytest.approx(got[has].mean())
            assert group.false_positive_rate[label].value == pytest.approx(got[~has].mean())


def test_a_group_that_is_denied_a_label_is_seen():
    targets, probabilities, groups = rows(faults=0.5)
    found = judge_fairness(ONE, targets, probabilities, "team", groups.tolist())
    assert found.gaps[0].rate == "accuracy"
    gap = next(one for one in found.gaps if (one.rate, one.label) == ("true_positive_rate", "a"))
    assert gap.lowest == "x"
    assert gap.difference.low > 0
    assert gap.difference.value > gap.by_chance
    assert gap in found.gaps[:3]
    assert "'team'" in found.sentences()[0]
    assert Fairness.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_equal_groups_stay_below_chance_mostly():
    above = total = 0
    for seed in range(10):
        targets, probabilities, groups = rows(seed)
        found = judge_fairness(ONE, targets, probabilities, "g", groups.tolist(), resamples=100)
        above += sum(one.difference.value > one.by_chance for one in found.gaps)
        total += len(found.gaps)
    assert above / total < 0.15


def test_small_groups_are_counted_and_said():
    targets, probabilities, groups = rows(num_rows=200)
    groups[:4], groups[4:24] = "tiny", "small"
    found = judge_fairness(ONE, targets, probabilities, "g", groups.tolist())
    assert found.num_left_out == 4
    assert "tiny" not in {group.value for group in found.groups}
    assert next(group for group in found.groups if group.value == "small").is_small
    assert judge_fairness(ONE, targets, probabilities, "g", ["one"] * 200) is None


def test_several_labels_and_dependent_rows():
    generator = np.random.default_rng(0)
    targets = (generator.random((300, 3)) < 0.4).astype(np.float32)
    probabilities = np.clip(targets + generator.normal(0, 0.4, targets.shape), 0.01, 0.99)
    groups = ["x", "y"] * 150
    found = judge_fairness(SEVERAL, targets, probabilities, "g", groups, resamples=200)
    given = probabilities >= 0.5
    own = found.groups[0].true_positive_rate["b"].value
    assert own == pytest.approx(given[::2][targets[::2, 1] > 0.5, 1].mean())
    owners = np.arange(300) // 30
    grouped = judge_fairness(
        SEVERAL, targets, probabilities, "g", groups, groups=owners, resamples=200
    )
    assert [one.difference.value for one in grouped.gaps] == pytest.approx(
        [one.difference.value for one in found.gaps]
    )
