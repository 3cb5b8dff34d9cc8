"""Several trainings averaged into one model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tunesmith import recipes
from tunesmith.errors import ConfigError, Interrupted
from tunesmith.recipes import Run
from tunesmith.recipes._fine_tune import Tuned, fine_tune

from .conftest import Notes, Train
from .test_train import digests

SOUP = {"training.model_soup": 3}
REFIT = {"training.refit": "always", "data.validation_fraction": 0.5}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, dict[str, Tensor]]]:
    """Name, seed and weights of each training, as they come."""
    seen: list[tuple[str, int, dict[str, Tensor]]] = []

    def noting(method: Any, *arguments: Any, **others: Any) -> Tuned:
        tuned = fine_tune(method, *arguments, **others)
        weights = {name: one.clone() for name, one in tuned.classifier.state_dict().items()}
        seen.append((others.get("name") or method, others["settings"].seed, weights))
        return tuned

    for place in ("_choose", "_finish"):
        monkeypatch.setattr(f"tunesmith.recipes.{place}.fine_tune", noting)
    return seen


def shipped(run: Run) -> dict[str, Tensor]:
    folder = run.bundle.path / "model"
    parts = {"backbone": "model.safetensors", "head": "head.safetensors"}
    return {
        f"{part}.{name}": weight
        for part, file in parts.items()
        for name, weight in load_file(folder / file).items()
    }


def assert_mean(run: Run, parts: list[dict[str, Tensor]]) -> None:
    compared = 0
    for name, weight in shipped(run).items():
        own = [part[name] for part in parts]
        torch.testing.assert_close(weight, torch.stack(own).mean(0), rtol=0, atol=1e-6)
        compared += not all(torch.equal(own[0], other) for other in own)
    assert compared > 10


@pytest.mark.parametrize("method", ["full", "lora", "few-shot", "last-k"])
def test_the_shipped_weights_are_the_mean_of_all_trainings(
    train: Train, notes: Notes, trainings: list[Any], method: str
) -> None:
    run = train({**SOUP, "training.method": method})
    names, seeds, weights = (list(column) for column in zip(*trainings, strict=True))
    assert names == [method, f"{method}-2", f"{method}-3"]
    assert [seed - seeds[0] for seed in seeds] == [0, 1, 2]
    assert_mean(run, weights)
    assert run.report.fit["trainings_averaged"] == 3
    assert "refit_rows" not in run.report.data
    assert "the weights of 3 trainings are averaged" in notes.said


def test_of_the_last_trainings_too(train: Train, notes: Notes, trainings: list[Any]) -> None:
    run = train({**SOUP, **REFIT})
    assert "the weights of 3 trainings are averaged" in notes.said, notes.warned
    assert [name for name, _, _ in trainings] == [
        "full", "full-refit", "full-refit-2", "full-refit-3",
    ]  # fmt: skip
    assert_mean(run, [weights for _, _, weights in trainings[1:]])
    assert run.report.data["refit_rows"] == 108
    log = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["run"] for line in log if line["event"] == "start"] == [
        name for name, _, _ in trainings
    ]
    assert not (run.folder / "checkpoints").exists()


def test_what_is_fitted_on_validation_rows_is_fitted_to_the_soup(train: Train) -> None:
    """The written bundle's calibrated answers are checked against it when it is packaged."""
    half = {"data.validation_fraction": 0.5}
    soup, alone = train({**SOUP, **half}, "soup"), train(half, "alone")
    tasks = [dict(run.bundle.manifest.task) for run in (soup, alone)]
    assert tasks[0]["calibration"] != tasks[1]["calibration"]
    assert soup.report.history[-1]["metric"] == alone.report.history[-1]["metric"]
    assert "trainings_averaged" not in alone.report.fit


def test_a_soup_of_one_is_the_training(train: Train) -> None:
    assert digests(train({"training.model_soup": 1}, "one")) == digests(train({}, "none"))


@pytest.mark.parametrize("more", [{}, REFIT], ids=["chosen", "refit"])
def test_weights_that_have_no_common_basin_are_not_averaged(
    train: Train, notes: Notes, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    """The other trainings' heads know the labels in another order."""

    def turned(method: Any, *arguments: Any, **others: Any) -> Tuned:
        tuned = fine_tune(method, *arguments, **others)
        if (others.get("name") or "")[-2:] in ("-2", "-3"):
            with torch.no_grad():
                for weight in tuned.classifier.head.parameters():
                    weight.copy_(weight.roll(1, 0) * 5)
        return tuned

    settings = {"training.epochs": 4, **more}
    alone = train(settings, "alone")
    monkeypatch.setattr("tunesmith.recipes._finish.fine_tune", turned)
    run = train({**SOUP, **settings}, "soup")
    assert any("worse on the validation rows" in text for text in notes.warned)
    assert "trainings_averaged" not in run.report.fit
    assert digests(run) == digests(alone)


def test_where_the_time_is_over_it_is_of_fewer(
    train: Train, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*arguments: Any, **others: Any) -> Tuned:
        if (others.get("name") or "").endswith("-3"):
            others["settings"] = replace(others["settings"], time_limit_s=0.0)
        return fine_tune(*arguments, **others)

    two = train({"training.model_soup": 2}, "two")
    monkeypatch.setattr("tunesmith.recipes._finish.fine_tune", late)
    run = train(SOUP, "three")
    assert digests(run) == digests(two)
    assert run.report.fit["trainings_averaged"] == 2
    assert any("the soup is of 2 of 3 trainings" in said for said in notes.said)


def stopping_in(name: str) -> Callable[..., Tuned]:
    def stopping(*arguments: Any, **others: Any) -> Tuned:
        if others.get("name") != name:
            return fine_tune(*arguments, **others)
        listener = arguments[6]

        class Stopping(Notes):
            def on_step(self, step: int, loss: float, rate: float) -> None:
                listener.on_step(step, loss, rate)
                if step == 3:
                    raise KeyboardInterrupt

        return fine_tune(*arguments[:6], Stopping(), **others)

    return stopping


@pytest.mark.parametrize("more", [{}, REFIT], ids=["chosen", "refit"])
@pytest.mark.parametrize("number", [2, 3])
def test_stopped_in_it_and_resumed_it_ends_as_undisturbed(
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trainings: list[Any],
    more: dict[str, Any],
    number: int,
) -> None:
    settings = {**SOUP, **more, "training.checkpoint_interval_s": 0}
    undisturbed = train(settings, "undisturbed")
    name = "full-refit" if more else "full"
    with monkeypatch.context() as patch:
        patch.setattr("tunesmith.recipes._finish.fine_tune", stopping_in(f"{name}-{number}"))
        with pytest.raises(Interrupted):
            train(settings, "run")
    kept = {folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()}
    assert f"{name}-{number}" in kept
    # What is averaged is kept once, and not with what it was trained by.
    assert (f"{name}-soup" in kept) == (number == 3)
    assert f"{name}-{number - 1}" not in kept
    del trainings[:]
    assert digests(recipes.resume(tmp_path / "run")) == digests(undisturbed)
    again = [one for one, _, _ in trainings]
    assert again[-1] == f"{name}-3"
    assert (f"{name}-2" in again) == (number == 2)


def test_a_budget_that_suffices_makes_one(train: Train) -> None:
    settings = {"training.r_drop": 0.0, "training.budget_s": "1h"}
    run = train(settings, "planned")
    assert run.report.config["training"]["model_soup"] == 3
    assert run.report.fit["trainings_averaged"] == 3
    assert digests(run) == digests(train(SOUP, "asked"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"training.method": "probe"}, "all alike"),
        ({"training.method": "lora", "adapter.keep": "apart"}, "kept apart have no mean"),
    ],
)
def test_refused_where_there_is_no_mean(train: Train, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=rf"training\.model_soup.*{why}"):
        train({**SOUP, **settings})
    run = train({**settings, "training.budget_s": "1h"})
    assert run.report.config["training"]["model_soup"] is None
