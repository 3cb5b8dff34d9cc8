"""Adapters: begin as the base, train alone with the head, merge to the same scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny import FAMILIES

from tunesmith.bases import (
    ADAPTERS,
    Classifier,
    TokenizedDataset,
    attach_adapter,
    drop_in_adapter,
    has_adapter,
    layers_of,
    merge_adapter,
    score,
    train_only,
)
from tunesmith.bases._adapter_kinds import _KINDS
from tunesmith.bases._adapter_targets import find_targets
from tunesmith.bases._adapters import adapted_layers
from tunesmith.errors import ConfigError

ModelOf = Callable[[str], Classifier]
TokensOf = Callable[[str], TokenizedDataset]

# Four bits need a GPU; test_four_bit.py.
KINDS = [kind for kind in ADAPTERS if kind != "qlora"]
FEW = [(kind, list(FAMILIES)[i % len(FAMILIES)]) for i, kind in enumerate(KINDS)]
EVERY = [(kind, family) for kind in KINDS for family in FAMILIES]


def slow_but(few: list[tuple[str, str]]) -> list[Any]:
    """Every kind on every family, of which only a few are tried where time is short."""
    return [p if p in few else pytest.param(*p, marks=pytest.mark.slow) for p in EVERY]


def spread(kind: str, model: Classifier) -> None:
    """Moves all trained weights of the backbone, as training would."""
    step = {"waveft": 1e-3, "fourierft": 5e-3, "randlora": 5e-3}.get(kind, 2e-2)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter.device) * step)


@pytest.mark.parametrize(("kind", "family"), slow_but(FEW))
def test_attached_trained_merged(
    kind: str, family: str, model_of: ModelOf, tokens_of: TokensOf
) -> None:
    model, tokens = model_of(family), tokens_of(family)
    plain, names = score(model, tokens), list(model.backbone.state_dict())
    attach_adapter(model, kind, rank=4)
    assert has_adapter(model)
    assert np.abs(score(model, tokens) - plain).max() < 1e-4, "the adapter begins as nothing"

    model(tokens.batch(np.arange(4))).square().sum().backward()
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {"head.weight", "head.bias"} < trained
    assert all(value.grad is not None for value in model.parameters() if value.requires_grad)
    assert not any("embed" in name or "decoder" in name for name in trained)

    spread(kind, model)
    moved = score(model, tokens)
    assert np.abs(moved - plain).max() > 1e-5
    assert np.abs(score(model.at("bf16"), tokens) - moved).max() < 0.1 * np.abs(moved).max()
    merge_adapter(model)
    assert not has_adapter(model)
    assert list(model.backbone.state_dict()) == names
    assert np.abs(score(model, tokens) - moved).max() < 1e-5 * max(1, np.abs(moved).max())


def test_the_seed_decides_the_start(model_of: ModelOf) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        model = model_of("bert")
        attach_adapter(model, "lora", rank=4)
        return {n: p for n, p in model.named_parameters() if "lora_A" in n}

    first, same, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_copy_in_bf16_has_an_adapter_of_its_own(model_of: ModelOf) -> None:
    model = model_of("bert")
    attach_adapter(model, "vera", rank=4)
    other = model.at("bf16")
    assert other.adapter.wrapped.base_model.model is other.backbone
    merge_adapter(other)
    assert has_adapter(model)


def test_a_merged_base_is_trained_on(model_of: ModelOf, tokens_of: TokensOf) -> None:
    model = model_of("gpt2")
    attach_adapter(model, "lora", rank=4)
    merge_adapter(model)
    train_only(model, "full")
    model(tokens_of("gpt2").batch(np.arange(4))).sum().backward()
    assert layers_of(model)[0].attn.c_attn.weight.grad is not None
    attach_adapter(model, "oft")
    assert has_adapter(model)


@pytest.mark.parametrize(
    ("family", "narrowing", "others"),
    [
        ("bert", {"output.dense"}, {"query", "key", "value", "intermediate.dense"}),
        ("gpt2", {"mlp.c_proj"}, {"attn.c_attn", "attn.c_proj", "mlp.c_fc"}),
        ("llama", {"down_proj"}, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"}),
        ("t5", {"DenseReluDense.wo"}, {"SelfAttention.q", "SelfAttention.o", "DenseReluDense.wi"}),
        ("mamba", set(), {"in_proj"}),
    ],
)
def test_all_linear_layers_are_targets(
    family: str, narrowing: set[str], others: set[str], model_of: ModelOf
) -> None:
    model = model_of(family)
    attach_adapter(model, "ia3")
    names = {
        name.partition(".ia3_l")[0]: value.shape
        for name, value in model.backbone.named_parameters()
        if value.requires_grad
    }
    for wanted in narrowing | others:
        assert any(name.endswith(wanted) for name in names), wanted
    at_input = {name for name, shape in names.items() if shape[0] == 1 and shape[1] != 1}
    for name in at_input:
        assert any(name.endswith(wanted) for wanted in narrowing)
        assert "att" not in name.lower()
    assert bool(at_input) is bool(narrowing)


def test_wanted_layers_are_the_only_targets(model_of: ModelOf) -> None:
    model = model_of("bert")
    attach_adapter(model, "lora", rank=4, targets=("query", "self.value"))
    names = {name for name, value in model.backbone.named_parameters() if value.requires_grad}
    assert len(names) == 8
    assert all(".query." in name or ".value." in name for name in names)


@pytest.mark.parametrize(
    ("kind", "values", "where", "message"),
    [
        ("lora", {"targets": ("quary",)}, "adapter.targets", "called 'quary'"),
        ("lora", {"rank": 33}, "adapter.rank", "a rank of 33 is more"),
        ("ia3", {"alpha": 8.0}, "adapter.alpha", "ia3 has no scale"),
        ("hra", {"dropout": 0.1}, "adapter.dropout", "hra has no dropout"),
        ("qlora", {}, "training.method", "4-bit needs an NVIDIA GPU"),
    ],
)
def test_what_does_not_go_together_is_refused(
    kind: str, values: dict[str, object], where: str, message: str, model_of: ModelOf
) -> None:
    model = model_of("gpt2") if kind == "hra" else model_of("bert")
    names = list(model.backbone.state_dict())
    with pytest.raises(ConfigError, match=message) as raised:
        attach_adapter(model, kind, **values)
    assert raised.value.faults[0].where == where
    assert raised.value.faults[0].mend
    assert not has_adapter(model)
    assert list(model.backbone.state_dict()) == names


def test_a_near_name_is_offered(model_of: ModelOf) -> None:
    with pytest.raises(ConfigError, match="did you mean 'query'"):
        find_targets(model_of("bert"), ("quary",))


def test_blocks_that_divide_no_layer_are_refused(model_of: ModelOf) -> None:
    model = model_of("bert")
    for layer in layers_of(model):
        layer.intermediate.dense = torch.nn.Linear(32, 61)
        layer.output.dense = torch.nn.Linear(61, 32)
    with pytest.raises(ConfigError, match="oft works in blocks") as raised:
        attach_adapter(model, "oft")
    assert "lora" in raised.value.faults[0].mend
    attach_adapter(model, "oft", targets=("query", "key", "value"))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_works_in_training_only(
    dropout: float, model_of: ModelOf, tokens_of: TokensOf
) -> None:
    model, batch = model_of("llama"), tokens_of("llama").batch(np.arange(4))
    attach_adapter(model, "lora", rank=4, dropout=dropout)
    spread("lora", model)
    assert torch.equal(model(batch), model(batch))
    model.train()
    assert torch.equal(model(batch), model(batch)) is (dropout == 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if _KINDS[kind].dropout])
def test_an_adapter_drops_without_the_base(
    kind: str, model_of: ModelOf, tokens_of: TokensOf
) -> None:
    model, batch = model_of("bert"), tokens_of("bert").batch(np.arange(4))
    assert model.dropout > 0
    model.eval()
    attach_adapter(model, kind, rank=4, dropout=0.5)
    spread(kind, model)
    drop_in_adapter(model)
    adapted = [layer for _, layer in adapted_layers(model.backbone)]
    inside = {id(part) for layer in adapted for part in layer.modules()}
    bases = {id(part) for layer in adapted for part in layer.get_base_layer().modules()}
    working = {id(part) for part in model.modules() if part.training}
    assert working
    assert working <= inside - bases
    answers = {tuple(model(batch).flatten().tolist()) for _ in range(8)}
    assert len(answers) > 1 or kind == "oft"  # drops whole blocks, and there is one here
