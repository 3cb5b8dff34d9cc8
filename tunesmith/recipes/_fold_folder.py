"""The folder of a cross-validation: what pins it, its unfinished work, and its results."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith import config as config_module
from tunesmith import storage, tasks
from tunesmith.bundles import read_rows, write_rows
from tunesmith.config import RunConfig
from tunesmith.errors import InputError, Interrupted, OutputError
from tunesmith.recipes._fold import FoldPlan, FoldResult
from tunesmith.recipes._run import RunFolder, as_output_error
from tunesmith.tasks import Task

__all__ = ["FoldFolder", "FoldWork", "Pinned"]

_RESULT = "cross_validation.json"
_TARGET = "target"


@dataclass(frozen=True, slots=True)
class Pinned:
    """How often all rows are folded, and into how many folds."""

    num_folds: int
    repeats: int


@dataclass(frozen=True, slots=True)
class FoldWork:
    """What an unfinished cross-validation keeps: rows, features, and the folds that are done.

    It holds the user's texts, and is the user's alone.
    """

    path: Path

    def write(self, plan: FoldPlan) -> None:
        """Puts down what `read` reads, for processes that train folds.

        Raises:
            OSError, OutputError: the disk is full, or may not be written.
        """
        storage.make_private(self.path)
        _write_whole(self.path / "rows.parquet", lambda file: write_rows(
            file, plan.dataset, _columns(plan.task), _TARGET
        ))  # fmt: skip
        _write_whole(self.path / "parts.npy", lambda file: _save(file, plan.parts))
        facts = {"num_folds": plan.num_folds, "task": plan.task.as_dict()}
        text = json.dumps(facts, ensure_ascii=False)
        storage.write_bytes(self.path / "plan.json", text.encode())
        self.keep_settings(plan.config)

    def read(self) -> FoldPlan:
        """What `write` wrote, and the features that are kept."""
        facts = json.loads((self.path / "plan.json").read_text(encoding="utf-8"))
        task = tasks.from_dict(facts["task"])
        return FoldPlan(
            config=config_module.load(self.path / "config.yaml"),
            num_folds=facts["num_folds"],
            task=task,
            dataset=read_rows(self.path / "rows.parquet", _columns(task), _TARGET),
            parts=np.load(self.path / "parts.npy", allow_pickle=False),
            features=self.features(),
        )

    def settings(self) -> RunConfig | None:
        """The settings of the trainings; None before any has begun."""
        file = self.path / "config.yaml"
        return config_module.load(file) if file.is_file() else None

    def keep_settings(self, config: RunConfig) -> None:
        storage.write_bytes(self.path / "config.yaml", config_module.dump(config).encode())

    def features(self) -> NDArray[np.float32] | None:
        """The rows' features, mapped from the disk; None where there are none yet."""
        file = self.path / "features.npy"
        return np.load(file, mmap_mode="r", allow_pickle=False) if file.is_file() else None

    def keep_features(self, features: NDArray[np.float32]) -> None:
        storage.make_private(self.path)
        _write_whole(self.path / "features.npy", lambda file: _save(file, features))

    def training(self, number: int) -> Path:
        """The folder of one training, for its checkpoints."""
        return self.path / f"fold-{number + 1:03}"

    def result_file(self, number: int) -> Path:
        return self.path / f"fold-{number + 1:03}.safetensors"

    def missing(self, num_trainings: int) -> list[int]:
        """The trainings that are not done."""
        return [n for n in range(num_trainings) if not self.result_file(n).is_file()]

    def results(self, num_trainings: int) -> list[FoldResult]:
        return [FoldResult.read(self.result_file(number)) for number in range(num_trainings)]


@dataclass(frozen=True, slots=True)
class FoldFolder:
    """Where a cross-validation keeps its things."""

    path: Path

    @property
    def work(self) -> FoldWork:
        return FoldWork(self.path / "work")

    @property
    def is_begun(self) -> bool:
        """Whether a cross-validation was begun here, finished or not."""
        return (self.path / "pinned.json").is_file() and "folds" in self._pins()

    @classmethod
    def create(cls, config: RunConfig, facts: dict[str, Any], size_bytes: int) -> FoldFolder:
        """A new folder with its settings, and what must not change.

        Raises:
            OutputError: it holds something, cannot be written, or has not enough space.
        """
        run = RunFolder.create(config, size_bytes)
        run.pin(facts, resumed=False)
        return cls(run.path)

    def reopen(self) -> tuple[RunConfig, Pinned]:
        """The settings of a cross-validation that was interrupted.

        Raises:
            OutputError: there is none, or it has finished.
        """
        if not self.is_begun or not (self.path / "config.yaml").is_file():
            raise OutputError(
                "is no cross-validation that can be resumed",
                where=str(self.path),
                mend="give the folder that the interrupted command named",
            )
        self.check_unfinished()
        pins = self._pins()
        config = config_module.load(self.path / "config.yaml")
        # The folder may have been moved since.
        config = config.model_copy(update={"output": str(self.path)})
        return config, Pinned(pins["folds"], pins["repeats"])

    def check_unfinished(self) -> None:
        """Refuses a folder whose results are there.

        Raises:
            OutputError: they are.
        """
        if (self.path / _RESULT).is_file():
            raise OutputError(
                "this cross-validation has finished",
                where=str(self.path),
                mend=f"its figures are in {self.path / 'cross_validation.html'}; for new ones give "
                "another folder",
            )

    def check_pins(self, facts: dict[str, Any]) -> None:
        """Refuses to go on where data, base or settings are not as they were.

        Raises:
            InputError: says what changed.
        """
        RunFolder(self.path).pin(facts, resumed=True)

    def remove_work(self) -> None:
        shutil.rmtree(self.work.path, ignore_errors=True)

    @contextmanager
    def in_use(self, *, is_new: bool) -> Iterator[None]:
        """Keeps other processes out, and says how to go on where the block is stopped.

        Args:
            is_new: whether to remove the folder where nothing came of it that could be resumed.

        Raises:
            Interrupted: the user stopped it.
            OutputError: another process is at work here, or the disk is full.
        """
        go_on = f"tunesmith evaluate --resume {shlex.quote(str(self.path))}"
        with storage.locked(self.path / ".lock", wait=False) as is_ours:
            if not is_ours:
                raise OutputError("another process goes on with it", where=str(self.path))
            try:
                yield
            except (Interrupted, KeyboardInterrupt) as stop:
                raise Interrupted("stopped", where=str(self.path), mend=go_on) from stop
            except (InputError, OSError) as error:
                told = as_output_error(error, self.path) if isinstance(error, OSError) else error
                if any(self.work.path.glob("fold-*.safetensors")):
                    told.add_note(f"the folds that are done are kept; then: {go_on}")
                elif is_new:
                    shutil.rmtree(self.path, ignore_errors=True)
                raise told from error

    def _pins(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.path / "pinned.json").read_text(encoding="utf-8"))
        return values


def _columns(task: Task) -> list[str]:
    """Names for the columns of texts that none of the user's can be mistaken for."""
    return [f"text {place}" for place in range(len(task.fields))]


def _save(file: Path, array: NDArray[Any]) -> None:
    with file.open("xb") as opened:
        np.save(opened, array, allow_pickle=False)


def _write_whole(final: Path, write: Any) -> None:
    """Writes beside the final place, and renames."""
    part = final.with_name(f".{final.name}.part")
    part.unlink(missing_ok=True)
    try:
        write(part)
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)
