"""Smaller models of a larger one's layers, in every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from tunesmith.bases import (
    Classifier,
    TokenBatch,
    layers_of,
    load_classifier,
    load_tokenizer,
    new_classifier,
    spread_layers,
    tokenize,
    with_layers,
)
from tunesmith.errors import ConfigError

_DEEP = 5
_COUNTS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Family → the folder of a small base with five layers."""
    root, made = tmp_path_factory.mktemp("deep"), {}

    def deep(family: str) -> Path:
        if family not in made:
            name, values, kind = tiny.FAMILIES[family]
            deeper = {key: _DEEP if key in _COUNTS else value for key, value in values.items()}
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(tiny.FAMILIES, family, (name, deeper, kind))
                made[family] = tiny.tiny_model(root / family, family)
        return made[family]

    return deep


def opened(folder: Path) -> Classifier:
    model = new_classifier(folder, "mean", 3)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
    return model


def trial_of(folder: Path) -> TokenBatch:
    texts: list[Any] = [("where is my parcel",), ("refund",), ("the invoice was charged twice",)]
    return tokenize(load_tokenizer(folder), texts, 32).batch(np.arange(3))


@pytest.mark.parametrize(
    ("num_layers", "num_kept", "places"),
    [
        (12, 6, (0, 2, 4, 7, 9, 11)),
        (6, 3, (0, 2, 5)),
        (6, 1, (0,)),
        (6, 2, (0, 5)),
        (6, 5, (0, 1, 2, 4, 5)),
    ],
)
def test_layers_are_spread(num_layers: int, num_kept: int, places: tuple[int, ...]) -> None:
    assert spread_layers(num_layers, num_kept) == places


@pytest.mark.parametrize("num_layers", range(2, 40))
def test_layers_differ_and_are_in_order(num_layers: int) -> None:
    for num_kept in range(1, num_layers):
        places = spread_layers(num_layers, num_kept)
        assert len(places) == num_kept
        assert list(places) == sorted(set(places))
        assert 0 <= places[0] <= places[-1] < num_layers


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_can_lose_layers(
    family: str, deep: Callable[[str], Path], tmp_path: Path
) -> None:
    model = opened(deep(family))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = (0, 2, 4)
    small = with_layers(model, kept, tmp_path / "small", trial_of(deep(family)))
    assert len(layers_of(model)) == _DEEP, "the larger one stays as it is"
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert len(layers_of(small)) == len(kept)
    for own, place in zip(layers_of(small), kept, strict=True):
        theirs = layers_of(model)[place].state_dict()
        assert all(value.equal(theirs[name]) for name, value in own.state_dict().items())
    assert small.head.weight.equal(model.head.weight)
    table, larger = (
        one.backbone.get_input_embeddings().weight  # type: ignore[operator]
        for one in (small, model)
    )
    assert table.equal(larger)
    again = load_classifier(tmp_path / "small", "mean", 3)
    assert len(layers_of(again)) == len(kept)
    assert again.backbone.config.num_hidden_layers == len(kept)  # type: ignore[union-attr]


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "modernbert"])
def test_one_layer_can_be_left(family: str, deep: Callable[[str], Path], tmp_path: Path) -> None:
    model = opened(deep(family))
    small = with_layers(model, spread_layers(_DEEP, 1), tmp_path / "one", trial_of(deep(family)))
    assert len(layers_of(small)) == 1


def test_layers_that_depend_on_their_place_are_refused(
    deep: Callable[[str], Path], tmp_path: Path
) -> None:
    # T5's first block alone has the table of relative places.
    model = opened(deep("t5"))
    with pytest.raises(ConfigError, match="T5Stack cannot be left out") as caught:
        with_layers(model, (1, 3), tmp_path / "cut", trial_of(deep("t5")))
    assert caught.value.faults[0].where == "--distil"
