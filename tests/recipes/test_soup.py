"""Several trainings averaged into one model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tunesmith import load, recipes
from tunesmith.bases import extract_features, load_classifier, load_tokenizer, tokenize
from tunesmith.bundles import read_rows
from tunesmith.errors import ConfigError, DivergedError, Interrupted
from tunesmith.recipes import Run
from tunesmith.recipes._calibrate import assure
from tunesmith.recipes._fine_tune import Tuned, fine_tune
from tunesmith.training import fit_linear_head

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


def assert_mean(run: Run, parts: list[dict[str, Tensor]], but: str = "nothing") -> None:
    compared = 0
    for name, weight in shipped(run).items():
        if name.startswith(but):
            continue
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
    assert seeds[0] == run.report.config["seed"]
    assert len(set(seeds)) == 3
    assert_mean(run, weights, but="head" if method == "few-shot" else "nothing")
    assert run.report.data["trainings_averaged"] == 3
    assert "refit_rows" not in run.report.data
    assert "the weights of 3 trainings are averaged" in notes.said
    assert [said for said in notes.said if said.startswith("training ")] == [
        "training 2 of 3", "training 3 of 3",
    ]  # fmt: skip


def test_of_the_last_trainings_too(train: Train, notes: Notes, trainings: list[Any]) -> None:
    run = train({**SOUP, **REFIT})
    assert "the weights of 3 trainings are averaged" in notes.said, notes.warned
    assert [name for name, _, _ in trainings] == [
        "full", "full-refit", "full-refit-2", "full-refit-3",
    ]  # fmt: skip
    assert_mean(run, [weights for _, _, weights in trainings[1:]])
    assert run.report.data["refit_rows"] == 108
    assert run.report.data["refit_epochs"] >= 1
    card = (run.bundle.path / "README.md").read_text(encoding="utf-8")
    assert "epochs of the last training" in card
    log = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["run"] for line in log if line["event"] == "start"] == [
        name for name, _, _ in trainings
    ]
    assert not (run.folder / "checkpoints").exists()


def test_what_is_fitted_on_validation_rows_is_fitted_to_the_soup(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibration, thresholds and sets of labels see the scores of the model that is shipped."""
    seen: list[Any] = []

    def noting(task: Any, validation: Any, scores: Any, *others: Any) -> Any:
        seen.append((validation.inputs, scores.copy()))
        return assure(task, validation, scores, *others)

    monkeypatch.setattr("tunesmith.recipes._judge.assure", noting)
    run = train({**SOUP, "data.validation_fraction": 0.5})
    inputs, scores = seen[-1]  # the first is of the frozen encoder, with which it is compared
    np.testing.assert_allclose(load(run.bundle).outputs(inputs).scores, scores, atol=1e-5)
    card = (run.bundle.path / "README.md").read_text(encoding="utf-8")
    assert "the mean of those of 3 trainings" in card


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
    assert any("far worse on the validation rows" in text for text in notes.warned)
    assert "trainings_averaged" not in run.report.data
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
    assert run.report.data["trainings_averaged"] == 2
    assert any("training 3 of the soup is left out" in said for said in notes.said)


def stopping_in(name: str, error: Callable[[], BaseException]) -> Callable[..., Tuned]:
    def stopping(*arguments: Any, **others: Any) -> Tuned:
        if others.get("name") != name:
            return fine_tune(*arguments, **others)
        listener = arguments[6]

        class Stopping(Notes):
            def on_step(self, step: int, loss: float, rate: float) -> None:
                listener.on_step(step, loss, rate)
                if step == 3:
                    raise error()

        return fine_tune(*arguments[:6], Stopping(), **others)

    return stopping


@pytest.mark.parametrize(
    ("number", "interval_s", "more"),
    [
        (2, 0, {}),
        (3, 0, {}),
        (2, 0, REFIT),
        (3, 0, REFIT),
        (3, 60, {"training.method": "lora"}),  # without a checkpoint of its own
        (3, 0, {"training.method": "shira"}),
        (3, 0, {"training.dropout": 0.1}),
        (3, 60, {"training.method": "few-shot"}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_stopped_in_it_and_resumed_it_ends_as_undisturbed(
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trainings: list[Any],
    number: int,
    interval_s: int,
    more: dict[str, Any],
) -> None:
    settings = {**SOUP, "training.epochs": 2, "training.checkpoint_interval_s": interval_s, **more}
    undisturbed = train(settings, "undisturbed")
    method = more.get("training.method", "full")
    name = f"{method}-refit" if more is REFIT else method
    # An error that is none of ours is as good as a kill, and leaves no checkpoint behind.
    ending = KeyboardInterrupt if interval_s == 0 else ZeroDivisionError
    with monkeypatch.context() as patch:
        stopping = stopping_in(f"{name}-{number}", ending)
        patch.setattr("tunesmith.recipes._finish.fine_tune", stopping)
        with pytest.raises((Interrupted, ZeroDivisionError)):
            train(settings, "run")
    kept = {folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()}
    assert (f"{name}-{number}" in kept) == (interval_s == 0)
    # What is averaged is kept once, and not with what it was trained by.
    assert (f"{name}-soup" in kept) == (number == 3)
    assert not (number == 3 and f"{name}-2" in kept)
    del trainings[:]
    assert digests(recipes.resume(tmp_path / "run")) == digests(undisturbed)
    again = [one for one, _, _ in trainings]
    assert again[-1] == f"{name}-3"
    assert (f"{name}-2" in again) == (number == 2)


def test_a_training_that_fails_is_left_out(
    train: Train, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = train({"training.model_soup": 2}, "two")
    monkeypatch.setattr(
        "tunesmith.recipes._finish.fine_tune", stopping_in("full-3", partial(DivergedError, "nan"))
    )
    run = train(SOUP, "three")
    assert digests(run) == digests(two)
    assert any("training 3 of the soup failed" in text for text in notes.warned)


@pytest.mark.parametrize("refit", ["never", "always"])
def test_a_budget_that_leaves_time_makes_one(train: Train, notes: Notes, refit: str) -> None:
    settings = {"training.r_drop": 0.0, "training.refit": refit}
    run = train({**settings, "training.budget_s": "1h"}, "planned")
    assert run.report.data["trainings_averaged"] == 3
    assert digests(run) == digests(train({**settings, **SOUP}, "asked"))
    assert any("trained 2 times more" in said for said in notes.said)


def test_a_budget_that_is_over_makes_none(
    train: Train, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.recipes._finish._Work.time_left_s", 0.0)
    settings = {"training.r_drop": 0.0, "training.budget_s": "1h"}
    run = train(settings, "late")
    assert "trainings_averaged" not in run.report.data
    assert digests(run) == digests(train({}, "plain"))
    assert not any("more, with the rows" in said for said in notes.said)


def test_few_shot_fits_its_head_to_the_mean(train: Train) -> None:
    run = train({**SOUP, "training.method": "few-shot"})
    classifier = load_classifier(run.bundle.path / "model", run.bundle.manifest.base.pooling, 3)
    rows = read_rows(run.folder / "rows" / "train.parquet", ["text"], "topic")
    tokenizer = load_tokenizer(run.bundle.path / "model")
    features = extract_features(classifier, tokenize(tokenizer, rows.inputs, 64))
    targets = run.bundle.task.encode(rows.targets or [])
    weight, bias = fit_linear_head(features, targets, 3, "cross-entropy")
    torch.testing.assert_close(classifier.head.weight, weight, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(classifier.head.bias, bias, rtol=1e-3, atol=1e-3)


def test_auto_averages_what_it_chose(train: Train, notes: Notes, trainings: list[Any]) -> None:
    run = train({**SOUP, "training.method": "auto", "training.epochs": 4})
    chosen = run.report.method
    more = [name for name, _, _ in trainings if name.endswith(("-2", "-3"))]
    if chosen == "probe":
        assert not more
        assert "trainings_averaged" not in run.report.data
        assert any("probe does not use training.model_soup" in text for text in notes.warned)
    else:
        assert more == [f"{chosen}-2", f"{chosen}-3"]
        assert run.report.data["trainings_averaged"] == 3


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
    run = train({"training.r_drop": 0.0, **settings, "training.budget_s": "1h"})
    assert "trainings_averaged" not in run.report.data
