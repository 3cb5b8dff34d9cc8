"""Contrastive training: the contract, its loss by the formula, and what becomes of features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunesmith.bases import Classifier, extract_features, score
from tunesmith.testing import CriterionContract
from tunesmith.training import Rows
from tunesmith.training.criteria import Contrastive, Criterion
from tunesmith.training.criteria._contrastive import contrastive_losses, label_overlap


class TestOneLabel(CriterionContract):
    trains_head = False

    @pytest.fixture
    def criterion(self, rows: Rows) -> Criterion:
        return Contrastive(rows, "cross-entropy", num_labels=3, rows_a_label=2)

    @pytest.fixture
    def rows(self, train: Rows) -> Rows:
        return train


class TestSeveralLabels(CriterionContract):
    trains_head = False

    @pytest.fixture
    def criterion(self, rows: Rows) -> Criterion:
        return Contrastive(rows, "binary-cross-entropy", num_labels=3, rows_a_label=2)

    @pytest.fixture
    def rows(self, several: Rows) -> Rows:
        return several


def test_the_loss_is_the_formula_of_the_paper() -> None:
    features, targets = torch.randn(9, 6), [0, 1, 2, 0, 1, 2, 0, 1, 0]
    found = contrastive_losses(features, label_overlap(torch.tensor(targets)), 0.2)
    directions = (features / features.norm(dim=1, keepdim=True)).double()
    for row, label in enumerate(targets):
        others = [i for i in range(9) if i != row]
        powers = {i: (directions[row] @ directions[i] / 0.2).exp().item() for i in others}
        alike = [powers[i] for i in others if targets[i] == label]
        expected = -np.mean([np.log(power / sum(powers.values())) for power in alike])
        assert found[row].item() == pytest.approx(expected, abs=1e-4)


def test_rows_that_share_more_labels_count_for_more() -> None:
    features = torch.randn(3, 6)
    targets = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0]])
    overlap = label_overlap(targets)
    assert overlap[0].tolist() == pytest.approx([1, 1, 1 / 3])
    parts = [
        contrastive_losses(features, torch.tensor(alike), 0.1)[0].item()
        for alike in ([[0.0, 1, 0]] * 3, [[0.0, 0, 1]] * 3)
    ]
    found = contrastive_losses(features, overlap, 0.1)[0].item()
    assert found == pytest.approx((parts[0] + parts[1] / 3) / (4 / 3), rel=1e-4)


@pytest.mark.parametrize(
    "targets",
    [torch.tensor([0]), torch.tensor([0, 1, 2]), torch.zeros(3, 4)],
    ids=["one row", "rows of different labels", "rows without a label"],
)
def test_rows_that_none_is_like_cost_nothing(targets: torch.Tensor) -> None:
    features = torch.randn(len(targets), 6, requires_grad=True)
    losses = contrastive_losses(features, label_overlap(targets), 0.1)
    losses.sum().backward()
    assert losses.tolist() == [0.0] * len(targets)
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_features_of_any_length_have_finite_gradients(size: float, temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    features = size * torch.randn(8, 6, generator=generator)
    features.requires_grad_()
    overlap = label_overlap(torch.tensor([0, 1] * 4))
    losses = contrastive_losses(features, overlap, temperature)
    losses.sum().backward()
    same = contrastive_losses(features.detach() / size, overlap, temperature)
    assert losses.tolist() == pytest.approx(same.tolist(), rel=1e-3)
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert features.grad.any()


def test_the_head_is_fitted_before_judging(model: Classifier, train: Rows) -> None:
    criterion = Contrastive(train, "cross-entropy", num_labels=3)
    criterion.before_judging(model)
    right = score(model, train.tokens).argmax(axis=1) == train.targets
    assert right.mean() > 0.8


@pytest.mark.parametrize("kind", ["one label", "several"])
def test_training_brings_rows_of_a_label_together(
    model: Classifier, train: Rows, several: Rows, kind: str
) -> None:
    rows = train if kind == "one label" else several
    objective = "cross-entropy" if kind == "one label" else "binary-cross-entropy"
    criterion = Contrastive(rows, objective, num_labels=3)  # type: ignore[arg-type]
    before = gap(model, rows)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for epoch in range(12):
        for batch in criterion.batches(rows.tokens.lengths, 16, seed=0, epoch=epoch):
            targets = torch.from_numpy(rows.targets[batch])
            criterion.losses(model, rows.tokens.batch(batch), targets).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert gap(model, rows) > before + 0.15


def gap(model: Classifier, rows: Rows) -> float:
    """By how much the mean cosine of rows with the same labels is above that of the others."""
    features = torch.from_numpy(extract_features(model, rows.tokens))
    directions = torch.nn.functional.normalize(features, dim=1)
    cosines, overlap = directions @ directions.T, label_overlap(torch.from_numpy(rows.targets))
    own = torch.eye(len(overlap), dtype=torch.bool)
    return float(cosines[(overlap == 1) & ~own].mean() - cosines[overlap == 0].mean())
