"""Checkpoints are whole or absent; the newest whole one is read; the newest few stay."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tunesmith.errors import OutputError
from tunesmith.training import Checkpoints, _checkpoints


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((3, 2), value), "steps": torch.tensor(7, dtype=torch.int64)}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def saved(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.folder.iterdir())


def newest(checkpoints: Checkpoints) -> float | None:
    found = checkpoints.load_newest()
    return None if found is None else float(found[0]["weight"][0, 0])


def test_there_may_be_none(checkpoints: Checkpoints) -> None:
    assert checkpoints.load_newest() is None
    checkpoints.remove()


def test_what_is_saved_is_loaded(checkpoints: Checkpoints) -> None:
    folder = checkpoints.save(12, tensors(0.1), {"epoch": 3, "loss": 0.1})
    assert folder.name == "step-00000012"
    found = checkpoints.load_newest()
    assert found is not None
    assert {name: value.dtype for name, value in found[0].items()} == {
        "weight": torch.float32,
        "steps": torch.int64,
    }
    assert found[0]["weight"].equal(tensors(0.1)["weight"])
    assert (found[1]["epoch"], found[1]["loss"]) == (3, 0.1)


def test_the_newest_few_stay(checkpoints: Checkpoints) -> None:
    for step in (1, 2, 10, 100):
        checkpoints.save(step, tensors(step), {})
    assert saved(checkpoints) == ["step-00000010", "step-00000100"]
    assert newest(checkpoints) == 100
    checkpoints.remove()
    assert not checkpoints.folder.exists()


def test_the_same_step_is_replaced(checkpoints: Checkpoints) -> None:
    checkpoints.save(4, tensors(0), {})
    for value in (1.0, 2.0, 3.0):
        folder = checkpoints.save(5, tensors(value), {})
        assert saved(checkpoints) == ["step-00000004", folder.name]
        assert newest(checkpoints) == value


def _flip(folder: Path) -> None:
    file = folder / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        lambda folder: (folder / "tensors.safetensors").unlink(),
        lambda folder: (folder / "state.json").unlink(),
        lambda folder: (folder / "state.json").write_text('{"tensors_sha'),
        lambda folder: (folder / "state.json").write_text("{}"),
    ],
)
def test_a_damaged_one_is_passed_over(
    checkpoints: Checkpoints, damage: Callable[[Path], object]
) -> None:
    checkpoints.save(1, tensors(1), {})
    damage(checkpoints.save(2, tensors(2), {}))
    assert newest(checkpoints) == 1


@pytest.mark.parametrize("keep", [1, 2])
def test_damaged_ones_do_not_crowd_out_whole_ones(tmp_path: Path, keep: int) -> None:
    Checkpoints(tmp_path, keep=3).save(1, tensors(1), {})
    for step in (20, 30):
        _flip(Checkpoints(tmp_path, keep=3).save(step, tensors(step), {}))
    checkpoints = Checkpoints(tmp_path, keep=keep)
    assert newest(checkpoints) == 1
    checkpoints.save(12, tensors(12), {})
    assert newest(checkpoints) == 12


def test_a_full_disk_leaves_the_older_ones(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        checkpoints.save(step, tensors(step), {})

    def fail(content: object, file: str) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_checkpoints, "save_file", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        checkpoints.save(3, tensors(3), {})
    assert saved(checkpoints) == ["step-00000001", "step-00000002"]
    assert newest(checkpoints) == 2
    with pytest.raises(OutputError, match="the disk is full"):
        checkpoints.save(2, tensors(2), {})
    assert newest(checkpoints) == 2, "the older one of the same step stays too"


def test_what_had_diverged_is_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=9)
    start = {"validation_loss": 0.4}
    states: list[dict[str, object]] = [
        {"history": [start], "loss_sum": 40.0, "loss_rows": 16},
        {"history": [start, {"validation_loss": 1.2}], "loss_sum": 0.0, "loss_rows": 0},
        {"history": [start, {"validation_loss": 1.2}], "loss_sum": 900.0, "loss_rows": 16},
        {"history": [start, {"validation_loss": 172.0}], "loss_sum": 0.0, "loss_rows": 0},
        {},
    ]
    for step, state in enumerate(states):
        checkpoints.save(step, {"weight": torch.zeros(2)}, state)
    checkpoints.remove_diverged()
    left = sorted(int(folder.name.removeprefix("step-")) for folder in tmp_path.iterdir())
    assert left == [0, 1, 4]
