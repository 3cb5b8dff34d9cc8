"""Supervised training: the contract for every loss, and R-Drop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.bases import Classifier
from tunesmith.testing import CriterionContract
from tunesmith.training import Rows
from tunesmith.training.criteria import Criterion, Supervised, balanced_weights, row_losses
from tunesmith.training.criteria._losses import divergences

MakeModel = Callable[..., Classifier]


class TestOneLabel(CriterionContract):
    @pytest.fixture(params=["likelihood", "focal", "robust", "weighed", "r-drop"])
    def criterion(self, request: pytest.FixtureRequest, rows: Rows) -> Criterion:
        if request.param == "weighed":
            return Supervised("cross-entropy", class_weights=balanced_weights(rows.targets, 3))
        if request.param == "r-drop":
            return Supervised("cross-entropy", r_drop=1.0)
        return Supervised("cross-entropy", loss=request.param)

    @pytest.fixture
    def rows(self, train: Rows) -> Rows:
        return train


class TestSeveralLabels(CriterionContract):
    @pytest.fixture(params=["likelihood", "focal", "robust", "weighed"])
    def criterion(self, request: pytest.FixtureRequest, rows: Rows) -> Criterion:
        if request.param == "weighed":
            weights = balanced_weights(rows.targets, 3)
            return Supervised("binary-cross-entropy", class_weights=weights)
        return Supervised("binary-cross-entropy", loss=request.param)

    @pytest.fixture
    def rows(self, several: Rows) -> Rows:
        return several


def test_by_default_it_is_the_smoothed_likelihood(model: Classifier, train: Rows) -> None:
    batch, targets = train.tokens.batch(np.arange(8)), torch.from_numpy(train.targets[:8])
    found = Supervised("cross-entropy").losses(model, batch, targets)
    assert found.equal(row_losses("cross-entropy", model(batch), targets, smoothing=0.1))


def test_r_drop_adds_what_two_passes_differ_by(make_model: MakeModel, train: Rows) -> None:
    model = make_model(dropout=0.3).train()
    nn.init.normal_(model.head.weight)
    batch, targets = train.tokens.batch(np.arange(8)), torch.from_numpy(train.targets[:8])
    torch.manual_seed(0)
    found = Supervised("cross-entropy", r_drop=2.0).losses(model, batch, targets)
    torch.manual_seed(0)
    passes = [model(batch), model(batch)]
    assert not passes[0].equal(passes[1])
    losses = [row_losses("cross-entropy", scores, targets, smoothing=0.1) for scores in passes]
    apart = divergences("cross-entropy", *passes)
    assert found.tolist() == pytest.approx(((losses[0] + losses[1]) / 2 + 2.0 * apart).tolist())


def test_r_drop_draws_the_answers_together(make_model: MakeModel, train: Rows) -> None:
    """Trained with it, two passes under dropout differ less than without."""
    apart = {}
    for weight in (0.0, 5.0):
        torch.manual_seed(0)
        model = make_model(dropout=0.3).train()
        nn.init.normal_(model.head.weight)
        criterion = Supervised("cross-entropy", r_drop=weight)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        batch, targets = train.tokens.batch(np.arange(44)), torch.from_numpy(train.targets)
        for _ in range(30):
            criterion.losses(model, batch, targets).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            apart[weight] = float(divergences("cross-entropy", model(batch), model(batch)).mean())
    assert apart[5.0] < 0.7 * apart[0.0]
