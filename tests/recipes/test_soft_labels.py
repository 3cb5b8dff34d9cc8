"""Labels as the nearest texts have them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import labelled_rows

from tunesmith import recipes
from tunesmith.checks import by_neighbours, unit_length
from tunesmith.errors import ConfigError, Interrupted
from tunesmith.recipes._soft_labels import softened
from tunesmith.training.criteria import Supervised

from .conftest import Notes, Train, write_rows
from .test_train import digests

SOFT = {"training.soft_labels": "neighbours"}


@pytest.fixture
def wrong_tenth(tmp_path: Path) -> Path:
    """240 rows, every tenth of which has the label of another topic."""
    rows, generator = labelled_rows(240), random.Random(0)
    topics = sorted({topic for _, topic in rows})
    for place in range(0, len(rows), 10):
        text, topic = rows[place]
        rows[place] = (text, generator.choice([one for one in topics if one != topic]))
    return write_rows(tmp_path / "wrong.csv", rows)


def test_neighbours_put_wrong_labels_right() -> None:
    generator = np.random.default_rng(0)
    true = np.repeat(np.arange(4), 100)
    features = np.eye(4)[true] * 7 + generator.normal(size=(400, 4))
    given = true.copy()
    wrong = generator.choice(400, 80, replace=False)
    given[wrong] = (given[wrong] + 1) % 4
    told = by_neighbours(unit_length(features.astype(np.float32)), given, 4)
    assert (given == true).mean() == 0.8
    assert (told.argmax(axis=1) == true).mean() > 0.99
    np.testing.assert_allclose(told.sum(axis=1), 1.0, atol=1e-9)


def test_the_loss_of_shares_is_their_mean() -> None:
    """A row of two shares costs what the two labels cost, each by its share; weights too."""
    criterion = Supervised("cross-entropy", class_weights=np.array([1.0, 3.0, 2.0], np.float32))
    scores = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([[0.75, 0.25, 0.0]]).repeat(5, 1)
    plain = Supervised("cross-entropy")
    costs = [plain._losses(scores, torch.full((5,), label)) for label in (0, 1)]
    mean = 0.75 * costs[0] + 0.25 * costs[1]
    torch.testing.assert_close(plain._losses(scores, shares), mean)
    torch.testing.assert_close(criterion._losses(scores, shares), mean * 1.5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_learns_them(
    train: Train, wrong_tenth: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    seen: list[Any] = []

    def noting(features: Any, given: Any, *others: Any) -> Any:
        seen.append((given, softened(features, given, *others)))
        return seen[-1][1]

    monkeypatch.setattr("tunesmith.recipes._probe.softened", noting)
    settings = {"data.source": str(wrong_tenth), "training.method": method}
    soft = train({**settings, **SOFT}, "soft")
    [(given, shares)] = seen
    assert shares.dtype == np.float32
    assert shares.shape == (len(given), 3)
    assert len(given) == soft.report.split_sizes["train"]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)
    assert digests(soft) != digests(train(settings, "given"))
    told = float((shares.argmax(axis=1) != given).mean())
    place = notes.warned if told > 0.3 else notes.said
    assert any(f"nearest texts have them, which for {told:.0%}" in text for text in place)
    assert soft.report.config["training"]["soft_labels"] == "neighbours"


def test_resumed_it_ends_as_undisturbed(train: Train, tmp_path: Path, wrong_tenth: Path) -> None:
    settings = {"data.source": str(wrong_tenth), "training.checkpoint_interval_s": 0, **SOFT}
    undisturbed = train(settings, "undisturbed")

    def stop(notes: Notes, step: int, loss: float, rate: float) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Notes, "on_step", stop)
        train(settings, "run")
    assert digests(recipes.resume(tmp_path / "run")) == digests(undisturbed)


def test_refused_with_a_loss_of_one_right_label(train: Train) -> None:
    with pytest.raises(ConfigError, match=r"training\.soft_labels: the robust loss is of one"):
        train({**SOFT, "training.loss": "robust"})


def test_refused_of_several_labels_a_row(train: Train, tmp_path: Path) -> None:
    rows = [
        (text, f"{topic}|x" if place % 2 else topic)
        for place, (text, topic) in enumerate(labelled_rows(90))
    ]
    file = write_rows(tmp_path / "many.csv", rows)
    with pytest.raises(ConfigError, match=r"training\.soft_labels: needs one label a row"):
        train({"data.source": str(file), "data.label_separator": "|", **SOFT})
    assert not (tmp_path / "run").exists()


def test_refused_of_more_rows_than_can_be_compared(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.recipes._methods._MOST_ROWS_COMPARED", 50)
    with pytest.raises(ConfigError, match=r"compares every row with every other.*at most 50"):
        train(SOFT)


@pytest.mark.parametrize("method", ["probe", "few-shot"])
def test_methods_that_do_not_learn_them_say_so(train: Train, notes: Notes, method: str) -> None:
    train({**SOFT, "training.method": method})
    assert any(f"{method} does not use training.soft_labels" in text for text in notes.warned)
