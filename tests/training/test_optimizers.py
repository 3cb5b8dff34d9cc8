"""Every optimiser learns; what decays, how rates fall from layer to layer, who is trained how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from tiny import FAMILIES, tiny_model
from torch import Tensor, nn

from tunesmith.bases import Classifier, layers_of, new_classifier
from tunesmith.config import Optimizer, Schedule
from tunesmith.errors import MissingDependencyError
from tunesmith.training import Rows
from tunesmith.training.criteria import mean_loss
from tunesmith.training.optimizers import build_optimizer, own_schedule, rate_at, suited_rate

MakeModel = Callable[..., Classifier]

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)


def groups_of(optimizer: torch.optim.Optimizer) -> dict[Tensor, dict[str, Any]]:
    return {p: group for group in optimizer.param_groups for p in group["params"]}


def train_step(
    model: Classifier, optimizer: torch.optim.Optimizer, rows: Rows, rate: float
) -> float:
    """One step on nine rows, as the loop makes it; returns the loss before it."""
    scores = model(rows.tokens.batch(np.arange(9)))
    loss = mean_loss("cross-entropy", scores, torch.from_numpy(rows.targets[:9]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(groups_of(optimizer)), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_scale"]
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_at_the_rate_that_suits_it(
    name: Optimizer, make_model: MakeModel, train: Rows
) -> None:
    torch.manual_seed(0)
    model = make_model()
    nn.init.normal_(model.head.weight, std=0.02)
    peak, num_steps = suited_rate(name, 1e-3), 50
    schedule: Schedule = "constant" if own_schedule(name) else "linear"
    optimizer: Any = build_optimizer(name, model, rate=peak)
    losses = [
        train_step(model, optimizer, train, rate_at(schedule, step, num_steps, peak, 0.1))
        for step in range(num_steps)
    ]
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_matrices_decay(name: Optimizer, make_model: MakeModel) -> None:
    model = make_model()
    optimizer = build_optimizer(name, model, rate=1e-3, weight_decay=0.1)
    decay = {id(p): group["weight_decay"] for p, group in groups_of(optimizer).items()}
    trained = dict(model.named_parameters())
    frozen = trained.pop("backbone.embeddings.word_embeddings.weight")
    assert id(frozen) not in decay
    assert decay[id(trained["head.weight"])] == 0.1
    assert decay[id(trained["head.bias"])] == 0.0
    norms = [value for name, value in trained.items() if "LayerNorm" in name]
    assert norms
    assert all(decay[id(value)] == 0.0 for value in norms)


def test_scales_that_an_adapter_keeps_as_columns_do_not_decay(make_model: MakeModel) -> None:
    model = make_model()
    model.head.register_parameter("scale", nn.Parameter(torch.ones(3, 1)))
    groups = groups_of(build_optimizer("adamw", model, rate=1e-3, weight_decay=0.1))
    assert groups[model.head.scale]["weight_decay"] == 0.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_what_wants_a_gradient_is_trained(name: Optimizer, make_model: MakeModel) -> None:
    model = make_model()
    model.backbone.requires_grad_(False)
    optimizer = build_optimizer(name, model, rate=1e-3)
    assert set(groups_of(optimizer)) == set(model.head.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rate_falls_from_layer_to_layer(family: str, tmp_path: Path) -> None:
    model = new_classifier(tiny_model(tmp_path, family), "mean", 3)
    model.freeze_unused(embeddings=False)
    groups = groups_of(build_optimizer("adamw", model, rate=1.0, layer_decay=0.5))
    scales = {parameter: group["rate_scale"] for parameter, group in groups.items()}
    assert set(scales) == {p for p in model.parameters() if p.requires_grad}
    assert all(group["lr"] == group["rate_scale"] for group in groups.values())
    first, second = layers_of(model)
    assert {scales[p] for p in model.head.parameters()} == {1.0}
    assert {scales[p] for p in second.parameters()} == {0.5}
    assert {scales[p] for p in first.parameters()} == {0.25}
    table = model.backbone.get_input_embeddings().weight  # type: ignore[operator, union-attr]
    assert scales[table] == 0.125
    inside = {*model.head.parameters(), *first.parameters(), *second.parameters()}
    outside = {scales[p] for p in model.encoder.parameters() if p in scales and p not in inside}
    assert outside <= {0.125, 1.0}  # the embeddings, and norms behind the last layer


def test_without_layer_decay_all_have_the_same_rate(make_model: MakeModel) -> None:
    optimizer = build_optimizer("adamw", make_model(), rate=1e-3)
    assert [group["rate_scale"] for group in optimizer.param_groups] == [1.0, 1.0]


@pytest.mark.parametrize("family", FAMILIES)
def test_muon_has_the_linear_maps_of_the_layers(family: str, tmp_path: Path) -> None:
    model = new_classifier(tiny_model(tmp_path, family), "mean", 3)
    model.freeze_unused(embeddings=False)
    groups = groups_of(build_optimizer("muon", model, rate=1e-3))
    maps = {
        module.weight
        for module in layers_of(model).modules()
        if type(module).__name__ in {"Linear", "Conv1D"}
    }
    assert maps
    assert {parameter for parameter, group in groups.items() if group["part"] == "muon"} == maps
    assert set(groups) == {p for p in model.parameters() if p.requires_grad}


def test_muon_moves_a_matrix_in_all_directions_alike(make_model: MakeModel) -> None:
    torch.manual_seed(0)
    model = make_model()
    weight = dict(model.named_parameters())["backbone.encoder.layer.1.output.dense.weight"]
    before = weight.detach().clone()
    optimizer = build_optimizer("muon", model, rate=1e-2, weight_decay=0.0)
    # Ten times as much in some directions as in others, as a gradient is.
    weight.grad = torch.randn(32, 64) * torch.logspace(0, 1, 32)[:, None]
    optimizer.step()
    moved = torch.linalg.svdvals(weight.detach() - before)
    assert len(moved) == 32
    assert moved.min() > moved.max() / 3
    # A root mean square of 0.2 × rate, about that of AdamW (arXiv:2502.16982, section 2.2).
    size = (weight.detach() - before).square().mean().sqrt().item()
    assert size == pytest.approx(0.2 * 1e-2, rel=0.25)


def test_lion_moves_by_the_sign_of_its_momentum() -> None:
    torch.manual_seed(0)
    model = Classifier(nn.Identity(), "mean", 4, 3)
    optimizer = build_optimizer("lion", model, rate=0.1, weight_decay=0.5)
    weight, average = model.head.weight.detach().clone(), torch.zeros(3, 4)
    for _ in range(4):
        gradient = torch.randn(3, 4)
        model.head.weight.grad = gradient.clone()
        optimizer.step()
        direction = torch.sign(0.9 * average + 0.1 * gradient)
        weight = weight - 0.1 * (direction + 0.5 * weight)
        average = 0.99 * average + 0.01 * gradient
        assert torch.allclose(model.head.weight, weight, atol=1e-6)


def test_a_vanished_momentum_is_no_fault(make_model: MakeModel, train: Rows) -> None:
    names: tuple[Optimizer, ...] = ("sgd", "rmsprop", "muon")
    for name in names:
        model = make_model()
        optimizer = build_optimizer(name, model, rate=1e-3, momentum=0.0)
        assert train_step(model, optimizer, train, 1e-3) > 0


def test_schedule_free_is_judged_on_other_weights(make_model: MakeModel, train: Rows) -> None:
    model = make_model()
    optimizer: Any = build_optimizer("schedule-free", model, rate=1e-2)
    for _ in range(3):
        train_step(model, optimizer, train, 1e-2)
    trained = model.head.weight.detach().clone()
    optimizer.eval()
    assert not model.head.weight.equal(trained)
    optimizer.train()
    assert torch.allclose(model.head.weight, trained, atol=1e-6)


def test_only_schedule_free_needs_a_rate_that_stays() -> None:
    assert [name for name in OPTIMIZERS if own_schedule(name)] == ["schedule-free"]


def test_a_missing_package_is_named(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "schedulefree", None)
    with pytest.raises(MissingDependencyError, match="pip install schedulefree"):
        build_optimizer("schedule-free", make_model(), rate=1e-3)
