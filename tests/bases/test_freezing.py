"""Which weights each method trains, in every family."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tiny import FAMILIES

from tunesmith.bases import Classifier, train_only
from tunesmith.errors import ConfigError

FINAL_NORMS = {
    "modernbert": {"final_norm.weight"},
    "gpt2": {"ln_f.weight", "ln_f.bias"},
    "llama": {"norm.weight"},
    "qwen2": {"norm.weight"},
    "mamba": {"norm_f.weight"},
    "t5": {"encoder.final_layer_norm.weight"},
}
WITHOUT_BIASES = {"modernbert", "llama", "t5"}

ModelOf = Callable[[str], Classifier]


def trained(model: Classifier) -> set[str]:
    """Names of the trained weights of the backbone; the head's are checked here."""
    names = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {"head.weight", "head.bias"} <= names
    return {name.removeprefix("backbone.") for name in names - {"head.weight", "head.bias"}}


@pytest.mark.parametrize("family", FAMILIES)
def test_last_k_trains_the_last_layers_and_the_norm_behind_them(
    family: str, model_of: ModelOf
) -> None:
    model = model_of(family)
    number = train_only(model, "last-k", layers=1)
    names = trained(model)
    outside = {name for name in names if not re.search(r"(layers?|h|block)\.1\.", name)}
    assert outside == FINAL_NORMS.get(family, set())
    assert len(names) > len(outside)
    assert number == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("family", FAMILIES)
def test_bitfit_trains_biases_alone(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    if family in WITHOUT_BIASES:
        with pytest.raises(ConfigError, match="has no biases") as raised:
            train_only(model, "bitfit")
        assert "lora" in str(raised.value)
        return
    train_only(model, "bitfit")
    assert trained(model)
    assert all(name.endswith(".bias") for name in trained(model))
    assert not any("pooler" in name for name in trained(model))


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_trains_norms_alone(family: str, model_of: ModelOf) -> None:
    model = model_of(family)
    train_only(model, "norms")
    assert trained(model)
    assert all(re.search(r"norm|ln_", name.lower()) for name in trained(model))
    assert not any("decoder" in name for name in trained(model))


@pytest.mark.parametrize("embeddings", [True, False])
def test_full_trains_all_that_counts(model_of: ModelOf, embeddings: bool) -> None:
    model = model_of("bert")
    train_only(model, "bitfit")
    train_only(model, "full", embeddings=embeddings)
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert all("pooler" in name or "word_embeddings" in name for name in frozen)
    assert ("backbone.embeddings.word_embeddings.weight" in frozen) is not embeddings


def test_more_layers_than_there_are_is_refused(model_of: ModelOf) -> None:
    with pytest.raises(ConfigError, match="the base has 2 layers") as raised:
        train_only(model_of("bert"), "last-k", layers=3)
    assert raised.value.faults[0].where == "training.layers"
    train_only(model_of("bert"), "last-k", layers=2)
