"""Every family of base models from training to a bundle that answers the same."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import FAMILIES, TINY_SETTINGS, tiny_model

from tunesmith import config, recipes, runtimes
from tunesmith.bases import find_base, load_classifier
from tunesmith.bundles import open_bundle

LAST = {"gpt2", "llama", "qwen2", "mamba"}


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the recipe handed over to be packaged: the trained model, and how it was judged."""
    recipe = importlib.import_module("tunesmith.recipes.train")
    package: Callable[..., Any] = recipe.package
    names = ("folder", "config", "base", "data", "model", "judged", "report")
    handed: dict[str, Any] = {}

    def remember(*values: Any, **named: Any) -> Any:
        handed.update(zip(names, values, strict=True))
        return package(*values, **named)

    monkeypatch.setattr(recipe, "package", remember)
    return handed


@pytest.mark.parametrize("family", FAMILIES)
def test_trained_bundled_loaded_it_answers_the_same(
    family: str, labelled_csv: Path, tmp_path: Path, packaged: dict[str, Any]
) -> None:
    base = tiny_model(tmp_path / family, family)
    settings = {
        **TINY_SETTINGS,
        "data.source": str(labelled_csv),
        "base.id": str(base),
        "output": str(tmp_path / "run"),
    }
    run = recipes.train(config.load(settings=settings))

    facts = run.bundle.manifest.base
    assert facts.family == family
    assert facts.pooling == ("last" if family in LAST else "mean")
    assert facts.digest == find_base(str(base)).digest

    test, judged = packaged["data"].test, packaged["judged"]
    answers = runtimes.load(open_bundle(run.bundle.path)).predict(test.inputs)
    found = np.array([list(answer.probabilities.values()) for answer in answers])
    assert np.abs(found - judged.probabilities).max() < 1e-4
    assert np.ptp(found, axis=0).max() > 1e-3, "the answers depend on the text"

    trained = packaged["model"].classifier
    loaded = load_classifier(run.bundle.model_path, facts.pooling, 3)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name
    assert loaded.head.weight.any(), "the head is the trained one"


@pytest.mark.parametrize("family", ["bert", "gpt2", "mamba"])
def test_a_bundle_is_trained_on(family: str, labelled_csv: Path, tmp_path: Path) -> None:
    settings = {**TINY_SETTINGS, "data.source": str(labelled_csv)}
    first = {"base.id": str(tiny_model(tmp_path / family, family)), "output": str(tmp_path / "1")}
    parent = recipes.train(config.load(settings={**settings, **first})).bundle
    second = {"base.id": str(parent), "output": str(tmp_path / "2")}
    child = recipes.train(config.load(settings={**settings, **second})).bundle
    assert child.manifest.parent == parent.manifest.digest
    assert child.manifest.base.pooling == parent.manifest.base.pooling
    assert child.manifest.base.family == family
