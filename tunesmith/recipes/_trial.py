"""A trial of a study, in a process of its own: see `tunesmith.search.__main__`.

It is given a folder with settings, and rows for training and validation. It is told nothing of the
user's files, and the rows of the test are not among its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tunesmith import config as config_module
from tunesmith import storage, tasks
from tunesmith.bundles import read_rows, write_rows
from tunesmith.data import Split, fingerprint
from tunesmith.recipes._listener import Silent
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes.attempt import attempt
from tunesmith.tasks import Task
from tunesmith.training import EpochRecord

__all__ = ["keep_split", "kept_split", "run_trial"]

_TARGET = "target"
_PARTS = ("train", "validation")


def run_trial(folder: Path, report: Callable[[int, int, float], None]) -> float:
    """Trains with the settings in `folder`; the scores of the validation rows are left there."""
    config = config_module.load(folder / "config.yaml")
    listener = _Reporting(report, config.training.epochs or 1)
    done = attempt(config, listener, folder=folder, data=kept_split(folder.parent.parent / "rows"))
    np.save(folder / "scores.npy", done.validation_scores, allow_pickle=False)
    return done.metric


def keep_split(folder: Path, data: PreparedData) -> None:
    """Writes task, training and validation rows into a folder that is the user's alone.

    Raises:
        OSError, OutputError: the disk is full.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _PARTS:
        part, file = folder / f".{name}.part", folder / f"{name}.parquet"
        part.unlink(missing_ok=True)
        write_rows(part, getattr(data.split, name), _columns(data.task), _TARGET)
        part.replace(file)
    task = json.dumps(data.task.as_dict(), ensure_ascii=False)
    storage.write_bytes(folder / "task.json", task.encode())


def kept_split(folder: Path) -> PreparedData:
    """What `keep_split` wrote; there are no rows for the test."""
    task = tasks.from_dict(json.loads((folder / "task.json").read_text(encoding="utf-8")))
    train, validation = (
        read_rows(folder / f"{name}.parquet", _columns(task), _TARGET) for name in _PARTS
    )
    return PreparedData(
        task=task,
        split=Split(train, validation, train.take([])),
        split_source="put aside",
        facts={"fingerprint": fingerprint(train)},
    )


def _columns(task: Task) -> list[str]:
    """Names for the columns of texts that none of the user's can be mistaken for."""
    return [f"text {place}" for place in range(len(task.fields))]


class _Reporting(Silent):
    """Tells the search of each epoch, and the log of the rest."""

    def __init__(self, report: Callable[[int, int, float], None], num_epochs: int) -> None:
        self._report = report
        self._num_epochs = num_epochs

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the trial's log

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")

    def on_epoch(self, record: EpochRecord) -> None:
        self._report(record.epoch, max(self._num_epochs, record.epoch), record.metric)
