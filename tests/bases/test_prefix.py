"""The frozen layers' states: kept once, and the rest comes to the same scores and gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import FAMILIES

from tunesmith.bases import (
    Classifier,
    PrefixCache,
    TokenizedDataset,
    attach_adapter,
    layers_of,
    score,
    train_only,
)

ModelOf = Callable[[str], Classifier]
TokensOf = Callable[[str], TokenizedDataset]
ROOM = 10_000_000
NOTHING_KEPT = {"t5"}
"""Whose layers need more than the states: T5's first layer hands on the bias of its attention."""


def build(
    model: Classifier, tokens: TokenizedDataset, folder: Path, limit_bytes: int = ROOM
) -> PrefixCache | None:
    train_only(model, "last-k", layers=1)
    return PrefixCache.build(model, tokens, 1, folder, limit_bytes)


def gradients(model: Classifier, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(batch).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - NOTHING_KEPT))
def test_kept_states_come_to_the_same(
    family: str, model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of(family), tokens_of(family)
    cache = build(model, tokens, tmp_path)
    assert cache is not None
    assert len(cache) == len(tokens)
    assert np.array_equal(cache.lengths, tokens.lengths)
    assert cache.dtype == np.float16
    assert np.abs(score(model, cache) - score(model, tokens)).max() < 1e-2
    few = np.array([7, 0, 3])
    plain, kept = gradients(model, tokens.batch(few)), gradients(model, cache.batch(few))
    assert plain.keys() == kept.keys()
    largest = max(float(value.abs().max()) for value in plain.values())
    for name, value in plain.items():
        assert float((value - kept[name]).abs().max()) < 1e-2 * largest, name


def test_one_wide_state_is_enough_for_float32(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of("llama"), tokens_of("llama")
    tried = [int(tokens.lengths.argmax()), int(tokens.lengths.argmin()), *range(8)]
    ids = {i: set(tokens.ids[a:b]) for i, (a, b) in enumerate(pairwise(tokens.offsets))}
    rare = set().union(*ids.values()) - set().union(*(ids[i] for i in tried))
    with torch.no_grad():
        model.backbone.embed_tokens.weight[int(min(rare))] *= 1e8
    cache = build(model, tokens, tmp_path)
    assert cache is not None
    assert cache.dtype == np.float32


@pytest.mark.parametrize("family", sorted(NOTHING_KEPT))
def test_nothing_is_kept_where_it_would_not_be_the_same(
    family: str, model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    assert build(model_of(family), tokens_of(family), tmp_path) is None


def test_the_frozen_layers_do_not_run(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of("bert"), tokens_of("bert")
    cache = build(model, tokens, tmp_path)
    assert cache is not None
    runs: list[int] = []
    for i, layer in enumerate(layers_of(model)):
        layer.register_forward_hook(lambda *_, i=i: runs.append(i))
    first = model(cache.batch(np.arange(4)))
    assert runs == [1]
    model(tokens.batch(np.arange(4)))
    assert runs == [1, 0, 1], "the model itself is as it was"
    with torch.no_grad():
        for parameter in layers_of(model)[0].parameters():
            parameter.zero_()
    assert torch.equal(model(cache.batch(np.arange(4))), first)


def test_a_copy_in_bf16_reads_the_same_states(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of("bert"), tokens_of("bert")
    cache = build(model, tokens, tmp_path)
    assert cache is not None
    other = model.at("bf16")
    assert np.abs(score(other, cache) - score(model, tokens)).max() < 0.1
    other.train()
    gradients(other, cache.batch(np.arange(4)))
    assert layers_of(other)[1].output.dense.weight.grad is not None
    assert layers_of(model)[1].output.dense.weight.grad is None


def test_wide_states_are_kept_in_float32(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of("llama"), tokens_of("llama")
    with torch.no_grad():
        layers_of(model)[0].mlp.down_proj.weight.mul_(1e10)
    cache = build(model, tokens, tmp_path)
    assert cache is not None
    assert cache.dtype == np.float32
    assert np.abs(score(model, cache) - score(model, tokens)).max() < 1e-4


def test_nothing_is_kept_without_room(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    tokens = tokens_of("bert")
    needed = int(tokens.offsets[-1]) * 32 * 2
    assert build(model_of("bert"), tokens, tmp_path, needed - 1) is None
    assert build(model_of("bert"), tokens, tmp_path, needed) is not None


def test_the_file_leaves_nothing_behind(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    cache = build(model_of("bert"), tokens_of("bert"), tmp_path / "new")
    assert cache is not None
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_is_kept_of_what_is_trained(
    model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    tokens = tokens_of("bert")
    model = model_of("bert")
    train_only(model, "full")
    assert PrefixCache.build(model, tokens, 1, tmp_path, ROOM) is None
    train_only(model, "last-k", layers=2)
    assert PrefixCache.build(model, tokens, 2, tmp_path, ROOM) is None
    adapted = model_of("bert")
    attach_adapter(adapted, "lora", rank=2)
    assert PrefixCache.build(adapted, tokens, 1, tmp_path, ROOM) is None
