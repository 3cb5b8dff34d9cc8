"""Losses, the rate's schedule, decay, the average of the weights, and the copy that computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.bases import Classifier
from tunesmith.training import Rows
from tunesmith.training._objectives import loss_for
from tunesmith.training._optimizer import WeightAverage, adamw, rate_at
from tunesmith.training._working_copy import WorkingCopy

MakeModel = Callable[..., Classifier]


def test_cross_entropy_is_the_mean_of_the_rows() -> None:
    scores, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    rows = [-torch.log_softmax(row, 0)[own] for row, own in zip(scores, targets, strict=True)]
    assert loss_for("cross-entropy")(scores, targets).item() == pytest.approx(
        torch.stack(rows).mean().item(), rel=1e-5
    )


def test_binary_cross_entropy_sums_over_labels() -> None:
    scores, targets = torch.randn(5, 3), torch.tensor([[1.0, 0, 1]] * 5)
    p = torch.sigmoid(scores)
    labels = -(targets * p.log() + (1 - targets) * (1 - p).log())
    assert loss_for("binary-cross-entropy")(scores, targets).item() == pytest.approx(
        labels.sum(dim=1).mean().item(), rel=1e-5
    )


def test_the_rate_rises_and_falls_in_lines() -> None:
    rates = [rate_at(step, 100, 2.0, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == max(rates) == 2.0
    assert np.diff(rates[10:]) == pytest.approx(np.full(89, -2.0 / 90))
    assert rates[-1] == pytest.approx(2.0 / 90)


@pytest.mark.parametrize("total", [1, 2, 3, 10])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.99])
def test_the_rate_is_never_nothing(total: int, warmup: float) -> None:
    assert all(0 < rate_at(step, total, 1.0, warmup) <= 1 for step in range(total))


def test_only_matrices_decay(make_model: MakeModel) -> None:
    model = make_model()
    optimizer = adamw(model, 1e-3, 0.1)
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    trained = dict(model.named_parameters())
    frozen = trained.pop("backbone.embeddings.word_embeddings.weight")
    assert id(frozen) not in decay
    assert decay[id(trained["head.weight"])] == 0.1
    assert decay[id(trained["head.bias"])] == 0.0
    norms = [value for name, value in trained.items() if "LayerNorm" in name]
    assert norms
    assert all(decay[id(value)] == 0.0 for value in norms)


def test_the_average_follows_the_weights() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average = WeightAverage([weight], decay=0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]):
        weight.data.fill_(value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.values[0].tolist() == pytest.approx([expected] * 3)


def test_swapping_twice_changes_nothing() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    average = WeightAverage([weight], decay=0.9)
    weight.data.fill_(7.0)
    average.swap()
    assert weight.tolist() == [1.0, 2.0]
    assert average.values[0].tolist() == [7.0, 7.0]
    average.swap()
    assert weight.tolist() == [7.0, 7.0]


def test_in_float32_the_master_works_itself(make_model: MakeModel) -> None:
    model = make_model()
    assert WorkingCopy(model, "fp32").model is model


def test_gradients_come_to_the_master_in_float32(make_model: MakeModel, train: Rows) -> None:
    model = make_model()
    nn.init.normal_(model.head.weight)
    working = WorkingCopy(model, "bf16")
    before = {name: value.clone() for name, value in model.named_parameters()}
    working.model(train.tokens.batch(np.arange(8))).square().sum().backward()
    assert all(value.grad is None for value in model.parameters())
    working.hand_over_gradients()
    for name, value in model.named_parameters():
        assert value.dtype == torch.float32
        assert value.equal(before[name])
        assert (value.grad is not None) == value.requires_grad, name
        assert value.grad is None or value.grad.dtype == torch.float32
    assert all(value.grad is None for value in working.model.parameters())


def test_updates_too_small_for_bf16_are_not_lost(make_model: MakeModel) -> None:
    model = make_model()
    working = WorkingCopy(model, "bf16")
    name = "backbone.encoder.layer.0.attention.self.query.weight"
    kept, computing = (dict(m.named_parameters())[name] for m in (model, working.model))
    with torch.no_grad():
        kept.fill_(1.0)
        for _ in range(100):
            kept += 1e-4
            working.take_weights()
    assert computing.dtype == torch.bfloat16
    assert computing.float().unique().item() == pytest.approx(1.01, abs=0.004)
