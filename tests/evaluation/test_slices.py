"""How good a model is on parts of the rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import fisher_exact
from sklearn.metrics import f1_score

from tunesmith.evaluation._against_rest import Ratio, against_rest
from tunesmith.evaluation._slices import Slices, judge_slices

from .rows_for_tests import ONE, SEVERAL, answers, dataset_of, random_texts

CHINESE = "房间很干净，服务员的态度也很好，早餐非常丰富，下次还会再来住的。"


def judged(num_rows=600, faults=None, seed=0, **options):
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=num_rows)
    texts = random_texts(generator, num_rows)
    wrong = generator.random(num_rows) < 0.1
    columns = {"shop": [("north", "south")[place % 2] for place in range(num_rows)]}
    if faults is not None:
        wrong |= faults(np.arange(num_rows), targets)
    data = dataset_of(texts)
    found = judge_slices(
        ONE, data, targets, answers(targets, wrong), columns=columns, resamples=200, **options
    )
    return found, wrong


def test_a_bad_shop_is_told_from_the_rest():
    found, wrong = judged(faults=lambda places, _: (places % 2 == 1) & (places % 3 == 0))
    bad = next(one for one in found.slices if one.value == "south")
    assert bad.num_rows == 300
    assert bad.estimate.value == pytest.approx(1 - wrong[1::2].mean())
    assert bad.rest.value == pytest.approx(1 - wrong[::2].mean())
    assert bad.difference.high < 0
    assert bad.adjusted_p_value < 1e-6
    assert bad in found.lower
    assert "'south'" in found.sentences()[0]
    assert Slices.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_the_test_is_fishers_and_corrected_for_all_slices():
    found, wrong = judged()
    one = next(one for one in found.slices if one.value == "north")
    right = ~wrong
    table = [[right[::2].sum(), wrong[::2].sum()], [right[1::2].sum(), wrong[1::2].sum()]]
    assert one.p_value == pytest.approx(fisher_exact(table).pvalue)
    assert all(one.adjusted_p_value >= one.p_value for one in found.slices)


def test_slices_of_chance_are_hardly_ever_different():
    runs = [judged(seed=seed)[0] for seed in range(25)]
    different = [any(one.is_different for one in run.slices if one.kind != "confidence")
                 for run in runs]  # fmt: skip
    assert sum(different) <= 5


def test_small_slices_are_counted_and_few_rows_say_nothing():
    generator = np.random.default_rng(0)
    targets = np.r_[np.zeros(95, int), np.ones(5, int)]
    data = dataset_of(random_texts(generator, 100))
    found = judge_slices(ONE, data, targets, answers(targets, np.zeros(100, bool)), resamples=100)
    assert found.num_too_small == 1
    assert "b" not in {one.value for one in found.slices}
    few = dataset_of(["x"] * 9)
    assert judge_slices(ONE, few, targets[:9], answers(targets[:9], targets[:9] > 0)) is None


def test_languages_are_slices():
    generator = np.random.default_rng(0)
    english = "Where is the parcel that I have ordered from you three weeks ago, number"
    texts = [f"{english} {place}" for place in range(50)] + [CHINESE] * 20
    targets = generator.integers(3, size=70)
    wrong = np.arange(70) >= 50
    found = judge_slices(ONE, dataset_of(texts), targets, answers(targets, wrong), resamples=100)
    (chinese,) = [one for one in found.slices if (one.kind, one.value) == ("language", "zh")]
    assert chinese.num_rows == 20
    assert chinese.estimate.value == 0.0


def test_several_labels_have_micro_f1():
    generator = np.random.default_rng(0)
    targets = (generator.random((200, 3)) < 0.5).astype(np.float32)
    probabilities = np.clip(targets + generator.normal(0, 0.4, targets.shape), 0.01, 0.99)
    found = judge_slices(
        SEVERAL, dataset_of(random_texts(generator, 200)), targets, probabilities, resamples=200
    )
    own = next(one for one in found.slices if (one.kind, one.value) == ("label", "a"))
    rows = targets[:, 0] > 0.5
    wanted = f1_score(targets[rows], probabilities[rows] >= 0.5, average="micro")
    assert own.metric == "micro_f1"
    assert own.estimate.value == pytest.approx(wanted)
    assert own.estimate.low < wanted < own.estimate.high


@given(st.integers(0, 2**20))
def test_intervals_hold_the_figure(seed):
    generator = np.random.default_rng(seed)
    above, below = generator.integers(0, 3, 40) * 1.0, generator.integers(2, 5, 40) * 1.0
    ratio = Ratio("micro_f1", above, below)
    members = sparse.csc_array(np.eye(2)[np.arange(40) % 2])
    for one in against_rest(ratio, members, resamples=100, seed=seed):
        assert one.estimate.low <= one.estimate.value <= one.estimate.high
        assert one.difference.low <= one.difference.value <= one.difference.high
        assert 0 <= one.p_value <= 1


def test_rows_that_depend_on_each_other_count_for_less():
    generator = np.random.default_rng(0)
    owners = np.repeat(np.arange(20), 20)
    right = (generator.random(20) < np.where(np.arange(20) < 10, 0.9, 0.5))[owners] * 1.0
    members = sparse.csc_array(np.eye(2)[(owners < 10) * 1])
    ratio = Ratio("accuracy", right, np.ones(400))
    alone = against_rest(ratio, members)
    together = against_rest(ratio, members, groups=owners)
    for one, other in zip(alone, together, strict=True):
        assert other.num_rows == one.num_rows
        assert other.estimate.value == pytest.approx(one.estimate.value)
        width = one.estimate.high - one.estimate.low
        assert other.estimate.high - other.estimate.low > 2 * width
        assert other.p_value > one.p_value


def test_a_slice_of_one_group_says_hardly_anything():
    owners = np.repeat(np.arange(10), 10)
    members = sparse.csc_array(np.eye(2)[(owners > 0) * 1])
    ratio = Ratio("accuracy", (owners > 0) * 1.0, np.ones(100))
    first, _ = against_rest(ratio, members, groups=owners)
    assert first.p_value == 1.0
    assert first.estimate.high > 0.7
