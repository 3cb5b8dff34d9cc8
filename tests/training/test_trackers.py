"""What trackers are told, and what happens where one is missing or fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, TensorBoardTracker

from tunesmith.config import Tracker
from tunesmith.errors import MissingDependencyError, OutputError
from tunesmith.training.callbacks import EpochRecord, Trackers

pytest.importorskip("tensorboard")

CONFIG: dict[str, Any] = {
    "training": {"epochs": 2, "track": ("tensorboard",), "patience": None},
    "output": None,
    "seed": 7,
}


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """What is set in the environment ends with the test."""
    before = os.environ.copy()
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


def epoch(number: int, *, train_loss: float | None = 0.5) -> EpochRecord:
    return EpochRecord(number, 20 * number, train_loss, 0.25, 0.75, 1.5)


def tracked(folder: Path, **options: Any) -> Trackers:
    return Trackers(["tensorboard"], "tickets", "first", CONFIG, folder, **options)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_tensorboard_shows_steps_and_epochs(tmp_path: Path) -> None:
    trackers = tracked(tmp_path)
    trackers.on_start(40, 0)
    trackers.on_epoch(epoch(0, train_loss=None))
    for step in range(1, 41):
        trackers.on_step(step, 1.0 / step, step / 1024)
        if step % 20 == 0:
            trackers.on_epoch(epoch(step // 20))
    trackers.on_end()
    found = scalars(tmp_path / "tensorboard")
    assert found["train/loss"] == [(n, pytest.approx(1 / n)) for n in (10, 20, 30, 40)]
    assert found["train/rate"] == [(n, n / 1024) for n in (10, 20, 30, 40)]
    assert found["epoch/train_loss"] == [(20, 0.5), (40, 0.5)]
    assert found["epoch/validation_loss"] == [(0, 0.25), (20, 0.25), (40, 0.25)]
    assert found["epoch/metric"] == [(0, 0.75), (20, 0.75), (40, 0.75)]
    assert found["epoch/epoch"] == [(0, 0), (20, 1), (40, 2)]
    assert "epoch/step" not in found


def test_the_settings_are_kept(tmp_path: Path) -> None:
    trackers = tracked(tmp_path)
    trackers.on_start(40, 8)
    trackers.on_end()
    (file,) = (tmp_path / "tensorboard").glob("*/hparams.yml")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert set(lines) == {
        "training.epochs: 2",
        "training.track: tensorboard",
        "training.patience: 'null'",
        "output: 'null'",
        "seed: 7",
        "run.total_steps: 40",
        "run.first_step: 8",
    }


def test_all_missing_packages_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow", "comet_ml", "swanlab"):
        monkeypatch.setitem(sys.modules, name, None)
    names: list[Tracker] = ["mlflow", "comet_ml", "tensorboard", "swanlab"]
    with pytest.raises(MissingDependencyError) as raised:
        Trackers(names, "tickets", "first", {}, tmp_path / "run")
    assert [fault.mend for fault in raised.value.faults] == [
        "pip install mlflow",
        "pip install comet-ml",
        "pip install swanlab",
    ]
    assert all(fault.where == "training.track" for fault in raised.value.faults)
    assert not (tmp_path / "run").exists()


def test_a_folder_is_not_taken_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("wandb") is not None:
        pytest.skip("wandb is installed")
    (tmp_path / "wandb").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingDependencyError, match="pip install wandb"):
        Trackers(["wandb"], "tickets", "first", {}, tmp_path)


def test_a_tracker_that_cannot_be_opened_ends_it_before_training(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    trackers = tracked(tmp_path)
    with pytest.raises(OutputError, match="tensorboard cannot be opened"):
        trackers.on_start(40, 0)
    trackers.on_end()


class Unreachable(TensorBoardTracker):  # type: ignore[misc]
    """Stands for a service that goes away after step 10, and does not come back."""

    def log(self, values: dict[str, float], step: int | None = None, **_: Any) -> None:
        if step is not None and step > 10:
            raise ConnectionError("the server has gone away")
        super().log(values, step=step)


def test_a_tracker_that_fails_does_not_cost_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "tensorboard", Unreachable)
    said: list[str] = []
    trackers = tracked(tmp_path, warn=said.append)
    trackers.on_start(40, 0)
    for step in range(1, 41):
        trackers.on_step(step, 1.0, 0.1)
    trackers.on_epoch(epoch(2))
    trackers.on_end()
    (warning,) = said
    assert "tensorboard failed" in warning
    assert "the server has gone away" in warning
    assert scalars(tmp_path / "tensorboard")["train/loss"] == [(10, 1.0)]


def test_telemetry_is_off_unless_the_user_set_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    trackers = tracked(tmp_path)
    trackers.on_start(40, 0)
    trackers.on_end()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["WANDB_ERROR_REPORTING"] == "true"
