"""Texts one behind the other have the features and the gradients that they have with padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import FAMILIES, TEXTS, tiny_model

from tunesmith.bases import (
    Classifier,
    Precision,
    TokenizedDataset,
    extract_features,
    load_tokenizer,
    new_classifier,
    packed,
    tokenize,
)
from tunesmith.bases._classifier import pool, pool_packed
from tunesmith.bases._find import Pooling
from tunesmith.errors import ConfigError

FITTING = {"bert", "roberta", "xlm-roberta", "distilbert", "electra", "gpt2", "llama", "qwen2"}
Open = Callable[..., tuple[Classifier, TokenizedDataset]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Open:
    folder = tmp_path_factory.mktemp("families")

    def call(family: str, pooling: Pooling = "mean") -> tuple[Classifier, TokenizedDataset]:
        base = folder / family
        if not base.exists():
            tiny_model(base, family)
        texts = [(text,) for text in (*TEXTS[:4], "login", "where is the parcel", "")]
        return new_classifier(base, pooling, 3), tokenize(load_tokenizer(base), texts, 60)

    return call


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_texts_are_pooled_by_themselves(pooling: Pooling) -> None:
    states = torch.rand(3, 5, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    starts = torch.tensor([0, 5, 7, 8], dtype=torch.int32)
    found = pool_packed(states[mask.bool()], starts, pooling)
    torch.testing.assert_close(found, pool(states, mask, pooling))


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize("family", sorted(FITTING))
def test_features_and_gradients_are_those_with_padding(
    opened: Open, family: str, pooling: Pooling
) -> None:
    model, tokens = opened(family, pooling)
    rows = np.array([1, 0, 5, 2])
    found: list[list[torch.Tensor]] = []
    directions = torch.linspace(-1.0, 1.0, model.head.in_features)
    with packed(model, tokens, "fp32") as source:
        for batch in (tokens.batch(rows), source.batch(rows)):
            features = model.features(batch)
            # Not their squares: a norm at the end makes the sum of these the same for any weights.
            (features * directions).sum().backward()
            gradients = [p.grad for p in model.encoder.parameters() if p.grad is not None]
            found.append([features.detach(), *(gradient.clone() for gradient in gradients)])
            model.zero_grad()
        whole = extract_features(model, source)
    assert "attention_mask" in tokens.batch(rows)
    assert source.batch(rows)["input_ids"].shape == (1, int(tokens.lengths[rows].sum()))
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() <= 1e-5 * max(1.0, float(one.abs().max()))
    assert max(float(gradient.abs().max()) for gradient in found[0][1:]) > 0.1
    np.testing.assert_allclose(whole, extract_features(model, tokens), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - FITTING))
def test_others_are_refused_and_stay_as_they_were(opened: Open, family: str) -> None:
    model, tokens = opened(family)
    before = extract_features(model, tokens)
    with (
        pytest.raises(ConfigError, match="cannot read texts one behind the other"),
        packed(model, tokens, "fp32"),
    ):
        pass
    assert np.array_equal(extract_features(model, tokens), before)


def test_gradients_are_the_same_when_layers_are_computed_again(opened: Open) -> None:
    model, tokens = opened("bert")
    found = []
    with packed(model, tokens, "fp32") as source:
        for again in (False, True):
            model.gradient_checkpointing(again)
            model.features(source.batch(np.arange(4))).square().sum().backward()
            found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
            model.zero_grad()
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_saved_base_knows_nothing_of_it(opened: Open, tmp_path: Path) -> None:
    model, tokens = opened("bert")
    with packed(model, tokens, "fp32"):
        pass
    model.save(tmp_path)
    assert "tunesmith" not in (tmp_path / "config.json").read_text()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("family", sorted(FITTING))
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_too(opened: Open, family: str, precision: Precision) -> None:
    model, tokens = opened(family)
    model.to("cuda")
    with packed(model, tokens, precision) as source:
        working = model.at(precision)
        batch = {name: value.to("cuda") for name, value in source.batch(np.arange(4)).items()}
        working.features(batch).square().sum().backward()
    gradients = [p.grad for p in working.encoder.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
