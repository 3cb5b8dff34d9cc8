"""Losses against the formulas of their papers, at the scores' limits, and with weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.tasks import Objective
from tunesmith.training.criteria import mean_loss, row_losses
from tunesmith.training.criteria._losses import divergences, focal_losses, robust_losses

Scores = NDArray[np.float32]

NUM_ROWS, NUM_LABELS = 5, 3
SCORES = arrays.arrays(np.float32, (NUM_ROWS, NUM_LABELS), elements=st.floats(-8, 8, width=32))
ONE_LABEL = arrays.arrays(np.int64, NUM_ROWS, elements=st.integers(0, NUM_LABELS - 1))
SEVERAL = arrays.arrays(np.float32, (NUM_ROWS, NUM_LABELS), elements=st.sampled_from([0.0, 1.0]))

LOSSES: dict[str, Callable[..., Tensor]] = {
    "likelihood": row_losses,
    "smoothed": lambda *given, **more: row_losses(*given, smoothing=0.1, **more),
    "focal": lambda *given, **more: focal_losses(*given, gamma=2.0, **more),
    "barely focal": lambda *given, **more: focal_losses(*given, gamma=0.5, **more),
    "robust": lambda *given, **more: robust_losses(*given, q=0.7, **more),
    "absolute": lambda *given, **more: robust_losses(*given, q=1.0, **more),
}
TARGETS: dict[Objective, Tensor] = {
    "cross-entropy": torch.tensor([0, 2, 1, 1, 0]),
    "binary-cross-entropy": torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]]),
}
BOTH = pytest.mark.parametrize("objective", list(TARGETS))


def right_probabilities(scores: Scores, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each row's label, [n]."""
    powers = np.exp(scores.astype(np.float64))
    return powers[np.arange(len(targets)), targets] / powers.sum(axis=1)


def right_answers(scores: Scores, targets: Scores) -> NDArray[np.float64]:
    """Of the right answer to each label, [n, labels]."""
    probabilities = 1 / (1 + np.exp(-scores.astype(np.float64)))
    return np.where(targets == 1, probabilities, 1 - probabilities)


@settings(max_examples=60, deadline=None)
@given(SCORES, ONE_LABEL)
def test_likelihood_of_one_label(scores: Scores, targets: NDArray[np.int64]) -> None:
    found = row_losses("cross-entropy", torch.from_numpy(scores), torch.from_numpy(targets))
    assert found.numpy() == pytest.approx(-np.log(right_probabilities(scores, targets)), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(SCORES, ONE_LABEL, st.floats(0, 0.9))
def test_smoothing_spreads_a_share_over_all_labels(
    scores: Scores, targets: NDArray[np.int64], smoothing: float
) -> None:
    found = row_losses(
        "cross-entropy", torch.from_numpy(scores), torch.from_numpy(targets), smoothing=smoothing
    )
    every = [right_probabilities(scores, np.full(NUM_ROWS, i)) for i in range(NUM_LABELS)]
    spread = -np.log(every).mean(axis=0)
    expected = -(1 - smoothing) * np.log(right_probabilities(scores, targets)) + smoothing * spread
    assert found.numpy() == pytest.approx(expected, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(SCORES, SEVERAL)
def test_likelihood_of_several_labels_is_their_sum(scores: Scores, targets: Scores) -> None:
    found = row_losses("binary-cross-entropy", torch.from_numpy(scores), torch.from_numpy(targets))
    expected = -np.log(right_answers(scores, targets)).sum(axis=1)
    assert found.numpy() == pytest.approx(expected, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(SCORES, ONE_LABEL, SEVERAL, st.floats(0, 5))
def test_focal_is_the_formula_of_the_paper(
    scores: Scores, one: NDArray[np.int64], several: Scores, gamma: float
) -> None:
    p = right_probabilities(scores, one)
    found = focal_losses(
        "cross-entropy", torch.from_numpy(scores), torch.from_numpy(one), gamma=gamma
    )
    assert found.numpy() == pytest.approx(-((1 - p) ** gamma) * np.log(p), abs=1e-3)
    p = right_answers(scores, several)
    found = focal_losses(
        "binary-cross-entropy", torch.from_numpy(scores), torch.from_numpy(several), gamma=gamma
    )
    assert found.numpy() == pytest.approx((-((1 - p) ** gamma) * np.log(p)).sum(axis=1), abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(SCORES, ONE_LABEL, SEVERAL, st.floats(0.01, 1))
def test_robust_is_the_formula_of_the_paper(
    scores: Scores, one: NDArray[np.int64], several: Scores, q: float
) -> None:
    p = right_probabilities(scores, one)
    found = robust_losses("cross-entropy", torch.from_numpy(scores), torch.from_numpy(one), q=q)
    assert found.numpy() == pytest.approx((1 - p**q) / q, abs=1e-3)
    p = right_answers(scores, several)
    found = robust_losses(
        "binary-cross-entropy", torch.from_numpy(scores), torch.from_numpy(several), q=q
    )
    assert found.numpy() == pytest.approx(((1 - p**q) / q).sum(axis=1), abs=1e-3)


@BOTH
def test_at_their_ends_both_are_the_likelihood(objective: Objective) -> None:
    scores = torch.randn(NUM_ROWS, NUM_LABELS)
    expected = row_losses(objective, scores, TARGETS[objective])
    focal = focal_losses(objective, scores, TARGETS[objective], gamma=0.0)
    robust = robust_losses(objective, scores, TARGETS[objective], q=1e-4)
    assert focal.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert robust.tolist() == pytest.approx(expected.tolist(), rel=1e-2)


def test_a_wrong_label_pulls_less_in_the_robust_loss() -> None:
    """The point of it: the surer the model is of another label, the smaller the gradient."""
    scores = torch.tensor([[4.0, 0.0], [8.0, 0.0]], requires_grad=True)
    wrong = torch.tensor([1, 1])
    robust_losses("cross-entropy", scores, wrong, q=0.7).sum().backward()
    assert scores.grad is not None
    pulls = scores.grad[:, 0].abs().tolist()
    assert pulls[1] < 0.2 * pulls[0] < 0.1


@BOTH
@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 1e4])
def test_extreme_scores_have_finite_gradients(objective: Objective, name: str, size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    signs = torch.randn(NUM_ROWS, NUM_LABELS, generator=generator).sign()
    scores = (size * signs).requires_grad_()
    losses = LOSSES[name](objective, scores, TARGETS[objective])
    losses.sum().backward()
    assert losses.shape == (NUM_ROWS,)
    assert losses.isfinite().all()
    assert (losses >= 0).all()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@BOTH
@pytest.mark.parametrize("name", list(LOSSES))
def test_equal_weights_change_nothing(objective: Objective, name: str) -> None:
    scores = torch.randn(NUM_ROWS, NUM_LABELS)
    plain = LOSSES[name](objective, scores, TARGETS[objective])
    weighed = LOSSES[name](objective, scores, TARGETS[objective], weights=torch.ones(NUM_LABELS))
    assert weighed.tolist() == pytest.approx(plain.tolist(), rel=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_row_weighs_by_its_label(name: str) -> None:
    scores, targets = torch.randn(NUM_ROWS, NUM_LABELS), TARGETS["cross-entropy"]
    plain = LOSSES[name]("cross-entropy", scores, targets)
    weighed = LOSSES[name]("cross-entropy", scores, targets, weights=torch.tensor([1.0, 2.0, 3.0]))
    assert (weighed / plain).tolist() == pytest.approx([1, 3, 2, 2, 1], rel=1e-5)


@pytest.mark.parametrize("name", list(LOSSES))
def test_of_several_labels_those_that_a_row_has_weigh(name: str) -> None:
    scores, targets = torch.randn(NUM_ROWS, NUM_LABELS), TARGETS["binary-cross-entropy"]
    triple = torch.tensor([3.0, 1.0, 1.0])
    plain = LOSSES[name]("binary-cross-entropy", scores, targets)
    weighed = LOSSES[name]("binary-cross-entropy", scores, targets, weights=triple)
    alone = LOSSES[name]("binary-cross-entropy", scores[:, :1], targets[:, :1])
    assert (weighed - plain).tolist() == pytest.approx(
        (2 * alone * targets[:, 0]).tolist(), abs=1e-4
    )


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES)
def test_divergence_is_the_mean_of_both_ways(scores: Scores, others: Scores) -> None:
    p, q = (np.exp(own.astype(np.float64)) for own in (scores, others))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    expected = 0.5 * ((p * np.log(p / q)).sum(axis=1) + (q * np.log(q / p)).sum(axis=1))
    found = divergences("cross-entropy", torch.from_numpy(scores), torch.from_numpy(others))
    assert found.numpy() == pytest.approx(expected, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES)
def test_divergence_of_several_labels_is_that_of_each(scores: Scores, others: Scores) -> None:
    p, q = (1 / (1 + np.exp(-own.astype(np.float64))) for own in (scores, others))
    one_way = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    back = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    found = divergences("binary-cross-entropy", torch.from_numpy(scores), torch.from_numpy(others))
    assert found.numpy() == pytest.approx(0.5 * (one_way + back).sum(axis=1), abs=1e-3)


@BOTH
def test_divergence_of_extreme_scores_is_finite(objective: Objective) -> None:
    scores = torch.tensor([[1e4, -1e4], [0.0, 0.0]], requires_grad=True)
    apart = divergences(objective, scores, -scores.detach())
    apart.sum().backward()
    assert apart[0] > 1e3
    assert apart[1] == 0
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@BOTH
def test_the_mean_is_that_of_the_rows(objective: Objective) -> None:
    scores = torch.randn(NUM_ROWS, NUM_LABELS)
    rows = row_losses(objective, scores, TARGETS[objective])
    mean = mean_loss(objective, scores, TARGETS[objective])
    assert mean.item() == pytest.approx(math.fsum(rows.tolist()) / NUM_ROWS, rel=1e-5)
