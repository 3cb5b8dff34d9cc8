"""The embedded samples through the main job."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunesmith import recipes
from tunesmith.config import BaseConfig, RunConfig, TrainingConfig
from tunesmith.errors import ConfigError
from tunesmith.samples import SAMPLES

from .conftest import Notes


@pytest.mark.parametrize("name", [sample.name for sample in SAMPLES])
def test_every_sample(
    base: Path, tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # `tunesmith.recipes.demo` is the function, which hides its module of the same name.
    module = sys.modules["tunesmith.recipes.demo"]
    train = module.train

    def quick(config: RunConfig, listener: recipes.Listener) -> recipes.Run:
        changes = {
            "base": BaseConfig(id=str(base), max_length=24),
            "training": TrainingConfig(method="probe", precision="fp32"),
        }
        run: recipes.Run = train(config.model_copy(update=changes), listener)
        return run

    monkeypatch.setattr(module, "train", quick)
    run = recipes.demo(name, output=str(tmp_path / "run"), listener=notes)
    assert run.report.title == f"{name}.csv"
    assert run.bundle.manifest.data["dropped"] == {"missing": 4}
    sizes = run.report.split_sizes
    assert sizes["test"] == pytest.approx(sum(sizes.values()) / 4, abs=2)


def test_an_unknown_sample() -> None:
    with pytest.raises(ConfigError, match="there is no sample 'tickets'") as caught:
        recipes.demo("tickets")
    assert all(sample.name in caught.value.faults[0].mend for sample in SAMPLES)
