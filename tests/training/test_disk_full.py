"""A disk that really fills up while training: a clear end, and a checkpoint that goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tunesmith.bases import Classifier
from tunesmith.errors import OutputError
from tunesmith.training import Checkpoints, FitSettings, Rows, Supervised, fit

MakeModel = Callable[..., Classifier]
SETTINGS = FitSettings(epochs=2, batch_size=8, learning_rate=3e-3)
SIZE_BYTES = 4_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for some checkpoints."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system of a test's own cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def run(model: Classifier, train: Rows, validation: Rows, folder: Path | None) -> None:
    fit(
        model,
        train,
        validation,
        objective="cross-entropy",
        criterion=Supervised("cross-entropy"),
        judge=lambda scores: float((scores.argmax(axis=1) == validation.targets).mean()),
        settings=SETTINGS,
        checkpoints=None if folder is None else Checkpoints(folder),
        resume=True,
    )


def test_training_on_a_disk_that_fills_up(
    make_model: MakeModel, train: Rows, validation: Rows, small_disk: Path
) -> None:
    expected = make_model()
    run(expected, train, validation, None)

    folder = small_disk / "checkpoints"
    one = checkpoint_bytes(make_model(), train, validation, small_disk / "probe")
    other = small_disk / "other"
    # Room for two and a half checkpoints: the third, beside the two that are kept, does not fit.
    other.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - int(2.5 * one)))
    with pytest.raises(OutputError, match="the disk is full"):
        run(make_model(), train, validation, folder)
    kept = sorted(path.name for path in folder.iterdir())
    assert kept, "what was kept before stays"
    assert all(name.startswith("step-") for name in kept), "nothing is left half-written"
    assert Checkpoints(folder).load_newest() is not None

    other.unlink()
    model = make_model()
    run(model, train, validation, folder)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name


def checkpoint_bytes(model: Classifier, train: Rows, validation: Rows, folder: Path) -> int:
    """The size of one checkpoint, which is removed again."""
    fit(
        model,
        train,
        validation,
        objective="cross-entropy",
        criterion=Supervised("cross-entropy"),
        judge=lambda scores: 0.0,
        settings=SETTINGS,
        checkpoints=Checkpoints(folder, keep=1, interval_s=1e9),
        until_epoch=1,
    )
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    return size
