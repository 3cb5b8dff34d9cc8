"""The copy that computes while float32 weights are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.bases import Classifier
from tunesmith.training import Rows
from tunesmith.training._working_copy import WorkingCopy

MakeModel = Callable[..., Classifier]


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
