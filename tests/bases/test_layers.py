"""The list of layers of every family, and the order in which a text passes the modules."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from tiny import FAMILIES
from torch import nn

from tunesmith.bases import Classifier, layers_of
from tunesmith.bases._layers import name_of, names_in_order
from tunesmith.errors import BaseModelError

NAMES = {
    "distilbert": "transformer.layer",
    "modernbert": "layers",
    "gpt2": "h",
    "llama": "layers",
    "qwen2": "layers",
    "mamba": "layers",
    "t5": "encoder.block",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_found_in_every_family(
    family: str, model_of: Callable[[str], Classifier]
) -> None:
    model = model_of(family)
    layers = layers_of(model)
    assert len(layers) == 2
    assert type(layers[0]) is type(layers[1])
    assert name_of(layers, model.backbone) == NAMES.get(family, "encoder.layer")


def test_a_list_of_embeddings_is_not_taken_for_the_layers(
    model_of: Callable[[str], Classifier],
) -> None:
    model = model_of("bert")
    model.backbone.tables = nn.ModuleList(nn.Embedding(2, 2) for _ in range(9))
    assert name_of(layers_of(model), model.backbone) == "encoder.layer"


def test_a_base_without_a_list_of_layers_is_refused() -> None:
    backbone = nn.Sequential(nn.Linear(2, 2))
    backbone.config = SimpleNamespace()
    with pytest.raises(BaseModelError, match="keeps its layers in no list"):
        layers_of(Classifier(backbone, "mean", 2, 2))


@pytest.mark.parametrize("family", FAMILIES)
def test_modules_are_named_in_the_order_of_their_calls(
    family: str, model_of: Callable[[str], Classifier]
) -> None:
    model = model_of(family).train()
    order = names_in_order(model)
    prefix = name_of(layers_of(model), model.backbone)
    places = [order.index(f"{prefix}.{i}") for i in range(2)]
    assert places == sorted(places)
    assert any("embed" in name or "wte" in name for name in order[: places[0]])
    assert not any("decoder" in name for name in order)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
