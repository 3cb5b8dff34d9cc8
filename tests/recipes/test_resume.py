"""A run that is stopped, and what can be done with it then."""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny import labelled_rows, tiny_model

from tunesmith import recipes
from tunesmith.bases import _machine
from tunesmith.errors import ConfigError, InputError, Interrupted, OutputError, TrainingError
from tunesmith.recipes import Run
from tunesmith.training import Checkpoints, EpochRecord, _step

from .conftest import Notes, Train, write_rows
from .test_train import digests


@contextmanager
def stopping(notes: Notes, *, step: int) -> Iterator[None]:
    """Ctrl-C, pressed twice, in a step of the block."""

    def press(done: int, loss: float, rate: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notes, "on_step", press)
        yield


@pytest.fixture
def train(train: Train) -> Train:
    """Keeps a checkpoint after every step."""

    def run(settings: dict[str, Any] | None = None, name: str = "run", **data: Any) -> Run:
        return train({"training.checkpoint_interval_s": 0, **(settings or {})}, name, **data)

    return run


@pytest.fixture
def stopped(train: Train, notes: Notes, tmp_path: Path) -> Path:
    """A run on a file of its own, stopped in the second epoch."""
    file = write_rows(tmp_path / "topics.csv", labelled_rows(120))
    with stopping(notes, step=8), pytest.raises(Interrupted) as caught:
        train(source=str(file))
    folder = tmp_path / "run"
    assert caught.value.exit_code == 130
    assert str(caught.value) == f"{folder}: stopped\n  → tunesmith train --resume {folder}"
    return folder


def test_a_resumed_run_ends_as_an_undisturbed_one(stopped: Path, finished: Run) -> None:
    kept = sorted(path.name.rstrip("+") for path in (stopped / "checkpoints" / "full").iterdir())
    assert kept == ["step-00000006", "step-00000007"]
    run = recipes.resume(stopped)
    assert digests(run) == digests(finished)
    assert run.metrics == finished.metrics
    assert [epoch["epoch"] for epoch in run.report.history] == [0, 1, 2]
    assert not (stopped / "checkpoints").exists()
    with pytest.raises(OutputError, match="this run has finished"):
        recipes.resume(stopped)


def test_a_run_stopped_before_its_first_step(
    train: Train, finished: Run, monkeypatch: pytest.MonkeyPatch, notes: Notes, tmp_path: Path
) -> None:
    def press(title: str, total: int | None = None) -> None:
        if title == "frozen encoder + linear head":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="--resume"):
        patch.setattr(notes, "stage", press)
        train()
    assert digests(recipes.resume(tmp_path / "run")) == digests(finished)


def test_changed_data_is_refused(stopped: Path, tmp_path: Path) -> None:
    file = tmp_path / "topics.csv"
    before = file.read_text()
    file.write_text(before.replace("text,topic\n", "text,topic\none ", 1))
    with pytest.raises(InputError, match="cannot be resumed: data changed"):
        recipes.resume(stopped)
    assert (stopped / "checkpoints").is_dir()
    file.write_text(before)
    recipes.resume(stopped)


def test_rows_in_another_order_are_refused(stopped: Path, tmp_path: Path) -> None:
    file = tmp_path / "topics.csv"
    heading, *rows = file.read_text().splitlines()
    file.write_text("\n".join([heading, *rows[::-1]]) + "\n")
    with pytest.raises(InputError, match=r"cannot be resumed: training rows.* changed"):
        recipes.resume(stopped)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_other_rows_beside_the_data_are_refused(
    part: str, train: Train, notes: Notes, tmp_path: Path
) -> None:
    beside = write_rows(tmp_path / "beside.csv", labelled_rows(60, seed=3)[:30])
    with stopping(notes, step=8), pytest.raises(Interrupted):
        train(**{part: str(beside)})
    write_rows(beside, labelled_rows(60, seed=3)[:29])
    with pytest.raises(InputError, match=f"cannot be resumed: {part} rows changed"):
        recipes.resume(tmp_path / "run")


def test_a_resumed_run_computes_in_the_precision_that_it_began_in(
    stopped: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = json.loads((stopped / "pinned.json").read_text())["precision"]
    other = {"fp32": 1.0, "bf16": 100.0 if began == "fp32" else 0.01}
    monkeypatch.setattr(_machine, "matrix_rates", lambda device: other)
    recipes.resume(stopped, notes)
    assert any(line.startswith(f"{began} on cpu") and "as before" in line for line in notes.said)


def test_a_changed_base_is_refused(train: Train, notes: Notes, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    with stopping(notes, step=8), pytest.raises(Interrupted):
        train({"base.id": str(base)})
    tiny_model(base, seed=1)
    with pytest.raises(InputError, match="cannot be resumed: base changed"):
        recipes.resume(tmp_path / "run")


def test_a_changed_setting_is_refused(stopped: Path) -> None:
    file = stopped / "config.yaml"
    before = file.read_text()
    file.write_text(before.replace("epochs: 2", "epochs: 3").replace("seed: 42", "seed: 43"))
    with pytest.raises(InputError, match=r"cannot be resumed: training\.epochs, seed changed"):
        recipes.resume(stopped)
    file.write_text(before)
    recipes.resume(stopped)


def test_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nosuch"):
        with pytest.raises(OutputError, match="is no run that can be resumed"):
            recipes.resume(folder)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> OSError:
    """The error of a disk that has run full."""
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_too_full_to_begin(
    train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4_000_000))
        for method in ("probe", "full"):
            with pytest.raises(OutputError, match=r"about \d+ MB are needed, 4 MB are free"):
                train({"training.method": method})
            assert not (tmp_path / "run").exists()
    train({"training.method": "probe"})


def test_a_disk_that_fills_up_before_the_first_checkpoint(
    train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, notes: Notes, full_disk: OSError
) -> None:
    def fail(*_: object) -> None:
        raise full_disk

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="the disk is full"):
        patch.setattr(notes, "on_step", fail)
        train()
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_later(
    train: Train,
    finished: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    full_disk: OSError,
) -> None:
    save = Checkpoints.save

    def fail_at_last(self: Checkpoints, step: int, *rest: object) -> Path:
        if step == 12:
            raise full_disk
        return save(self, step, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr(Checkpoints, "save", fail_at_last)
        train()
    [note] = caught.value.__notes__
    assert note.endswith(f"tunesmith train --resume {tmp_path / 'run'}")
    assert not (tmp_path / "run" / "bundle").exists()
    assert digests(recipes.resume(tmp_path / "run")) == digests(finished)


def test_other_failures_of_the_system_are_not_hidden(
    train: Train, monkeypatch: pytest.MonkeyPatch, notes: Notes
) -> None:
    def fail(record: EpochRecord) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output error"):
        patch.setattr(notes, "on_epoch", fail)
        train()


def test_a_run_whose_rate_was_too_high_goes_on_with_a_lower_one(
    train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check = _step.check_loss
    with monkeypatch.context() as patch:
        patch.setattr(
            _step, "check_loss", lambda value, at: check(math.nan if "step 8" in at else value, at)
        )
        with pytest.raises(TrainingError, match="the loss is nan at step 8") as raised:
            train()
    folder = tmp_path / "run"
    [note] = raised.value.__notes__
    assert f"tunesmith train --resume {folder} --set training.learning_rate=" in note
    with pytest.raises(ConfigError, match=r"training\.learning_rate: must be greater than 0"):
        recipes.resume(folder, learning_rate=-1.0)
    run = recipes.resume(folder, learning_rate=1e-3)
    assert run.report.config["training"]["learning_rate"] == 1e-3
    assert run.report.fit["learning_rate"] == 1e-3
    assert [epoch["epoch"] for epoch in run.report.history] == [0, 1, 2]
