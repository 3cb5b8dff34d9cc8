"""An optimiser that is saved and restored goes on to the bit as if nothing had been."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from tunesmith.bases import Classifier
from tunesmith.config import Optimizer
from tunesmith.errors import ConfigError
from tunesmith.training import Rows
from tunesmith.training.criteria import mean_loss
from tunesmith.training.optimizers import (
    build_optimizer,
    optimizer_facts,
    optimizer_tensors,
    restore_optimizer,
)

MakeModel = Callable[..., Classifier]

RATE = 1e-3


@pytest.fixture
def model(make_model: MakeModel) -> Classifier:
    made = make_model()
    torch.manual_seed(0)
    nn.init.normal_(made.head.weight)
    return made


def build(name: Optimizer, model: Classifier, **options: Any) -> torch.optim.Optimizer:
    return build_optimizer(name, model, rate=RATE, **{"layer_decay": 0.9, **options})


def steps(model: Classifier, optimizer: torch.optim.Optimizer, rows: Rows, numbers: range) -> None:
    for number in numbers:
        chosen = np.arange(8) + 4 * number
        scores = model(rows.tokens.batch(chosen))
        mean_loss("cross-entropy", scores, torch.from_numpy(rows.targets[chosen])).backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * group["rate_scale"] / (1 + number)
        optimizer.step()
        optimizer.zero_grad()


def judge(optimizer: Any) -> None:
    """What the loop does after an epoch: to the weights that are judged, and back."""
    if hasattr(optimizer, "eval"):
        optimizer.eval()
        optimizer.train()


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_a_restored_optimizer_goes_on_to_the_bit(
    name: Optimizer, model: Classifier, train: Rows
) -> None:
    optimizer = build(name, model)
    steps(model, optimizer, train, range(3))
    judge(optimizer)
    tensors = load(save(optimizer_tensors(optimizer)))
    facts = json.loads(json.dumps(optimizer_facts(optimizer)))
    other = copy.deepcopy(model)
    resumed = build(name, other)
    restore_optimizer(resumed, tensors, facts)
    for trained, own in ((model, optimizer), (other, resumed)):
        steps(trained, own, train, range(3, 6))
        judge(own)
    for parameter, same in zip(model.parameters(), other.parameters(), strict=True):
        assert parameter.equal(same)
    assert optimizer_facts(optimizer) == optimizer_facts(resumed)
    kept = optimizer_tensors(resumed)
    assert kept
    assert kept.keys() == optimizer_tensors(optimizer).keys()
    assert all(value.equal(kept[key]) for key, value in optimizer_tensors(optimizer).items())


def test_a_new_optimizer_can_be_kept_too(model: Classifier, train: Rows) -> None:
    optimizer = build("schedule-free", model)
    other = copy.deepcopy(model)
    resumed = build("schedule-free", other)
    restore_optimizer(resumed, optimizer_tensors(optimizer), optimizer_facts(optimizer))
    for trained, own in ((model, optimizer), (other, resumed)):
        steps(trained, own, train, range(2))
    assert model.head.weight.equal(other.head.weight)


@pytest.mark.parametrize(
    ("name", "options"),
    [("sgd", {}), ("adamw", {"layer_decay": 1.0})],
    ids=["another optimiser", "other groups"],
)
def test_the_state_of_another_is_refused(
    name: Optimizer, options: dict[str, Any], model: Classifier, train: Rows
) -> None:
    optimizer = build("adamw", model)
    steps(model, optimizer, train, range(1))
    other = build(name, copy.deepcopy(model), **options)
    with pytest.raises(ConfigError, match="optimiser is another"):
        restore_optimizer(other, optimizer_tensors(optimizer), optimizer_facts(optimizer))


def test_the_state_of_other_parameters_is_refused(model: Classifier, train: Rows) -> None:
    optimizer = build("adamw", model)
    steps(model, optimizer, train, range(1))
    other = copy.deepcopy(model)
    other.head.bias.requires_grad_(False)
    with pytest.raises(ConfigError, match="optimiser is another"):
        restore_optimizer(
            build("adamw", other), optimizer_tensors(optimizer), optimizer_facts(optimizer)
        )
