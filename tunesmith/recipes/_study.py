"""What a study is made of beside its trials: its folder, its end, and its errors."""

from __future__ import annotations

import errno
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunesmith import config as config_module
from tunesmith import storage
from tunesmith.bases import Base
from tunesmith.config import RunConfig
from tunesmith.data import fingerprint, source_stem
from tunesmith.errors import (
    ConfigError,
    Fault,
    InputError,
    Interrupted,
    OutputError,
)
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._run import Run
from tunesmith.search import (
    Choice,
    SearchSettings,
    Space,
    StudyFile,
    StudyFolder,
    StudyReport,
    make_settings,
    read_space,
)

__all__ = [
    "FinishedStudy",
    "check_pinned",
    "check_resumed_alone",
    "go_on_text",
    "new_folder",
    "pinned",
    "read_search",
    "stoppable",
]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class FinishedStudy:
    """A study, and the run with the settings that it found.

    Attributes:
        folder: study.html, study.json, the trials, and the run as `best`.
        report: all trials, and why one was chosen.
        run: its bundle can be evaluated, predicted with and served.
        seconds: from the start, or the resumption, to the bundle.
    """

    folder: Path
    report: StudyReport
    run: Run
    seconds: float

    @property
    def choice(self) -> Choice:
        """The trial that was chosen, and why."""
        assert self.report.choice is not None
        return self.report.choice

    def as_dict(self) -> dict[str, Any]:
        chosen = self.choice.chosen
        return {
            "study": str(self.folder),
            "bundle": str(self.run.bundle.path),
            "best": {
                "trial": chosen.number,
                "settings": dict(chosen.settings),
                "validation": {self.report.metric: chosen.metric},
                "test": self.run.metrics.as_dict(),
                "reason": self.choice.reason(),
            },
            "trials": [trial.as_dict() for trial in self.report.trials],
            "seconds": round(self.seconds, 2),
        }

    def _repr_html_(self) -> str:
        return self.run.report._repr_html_()


def read_search(
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    *,
    search: Mapping[str, object] | None = None,
    names: Mapping[str, str] | None = None,
    space_file: Path | None = None,
) -> tuple[RunConfig, SearchSettings, Space | None]:
    """All that a search is told, checked together.

    Args:
        config_file, overrides, settings: see `tunesmith.config.load`.
        search: fields of `SearchSettings`; those that are None keep their default.
        names: field → how the user knows it, for the errors.
        space_file: a YAML file with what is varied.

    Raises:
        ConfigError: all faults at once.
    """
    faults: list[Fault] = []

    def read(part: Callable[[], _Result], otherwise: _Result) -> _Result:
        try:
            return part()
        except ConfigError as error:
            faults.extend(error.faults)
            return otherwise

    config = read(lambda: config_module.load(config_file, overrides, settings), RunConfig())
    wanted = read(lambda: make_settings(search or {}, names=names), SearchSettings())
    space = read(lambda: read_space(space_file) if space_file else None, None)
    if not faults and not config.data.source:
        faults.append(Fault("no data file was given", mend="tunesmith tune tickets.csv"))
    if faults:
        raise ConfigError.of(faults)
    return config, wanted, space


def check_resumed_alone(folder: Path, given: Sequence[str]) -> None:
    """Checks that nothing is asked of a resumed study but other limits.

    Args:
        given: names of what was asked for besides.

    Raises:
        ConfigError: something was.
    """
    if given:
        raise ConfigError(
            f"goes on with the study's own settings; given as well: {', '.join(given)}",
            where="--resume",
            mend=go_on_text(StudyFolder(folder)),
        )


def new_folder(file: StudyFile, size_bytes: int) -> StudyFolder:
    """A new folder for a study.

    Raises:
        OutputError: the folder holds something, cannot be written, or has not enough space.
    """
    config = file.run
    stem = source_stem(config.data.source, "run")
    default = Path("runs") / f"{stem}-study-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = StudyFolder(Path(config.output) if config.output else default)
    storage.require_empty(folder.path)
    storage.require_space(folder.path, size_bytes)
    folder.write(file)
    return folder


def go_on_text(folder: StudyFolder) -> str:
    """The command that goes on with a study."""
    return f"tunesmith tune --resume {shlex.quote(str(folder.path))}"


def pinned(data: PreparedData, base: Base) -> dict[str, str]:
    """What must be as it was for a study to go on."""
    return {
        "data": data.facts["fingerprint"],
        "training rows": fingerprint(data.split.train),  # with those that are replayed
        "validation rows": fingerprint(data.split.validation),
        "base": base.digest,
    }


def check_pinned(file: StudyFile, now: Mapping[str, str], folder: Path) -> None:
    """Checks that the trials to come would be like those that were.

    Raises:
        InputError: something differs; says what.
    """
    changed = [name for name in now if now[name] != file.pinned.get(name)]
    if changed:
        raise InputError(
            f"cannot be resumed: {', '.join(changed)} changed since it was interrupted",
            where=str(folder),
            mend="put it back as it was, or start a new study",
        )


@contextmanager
def stoppable(folder: StudyFolder) -> Iterator[None]:
    """Says how to go on where the block is stopped or fails.

    Raises:
        Interrupted: the user stopped it.
        OutputError: the disk is full.
    """
    go_on = go_on_text(folder)
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        what = stop.faults[0].what if isinstance(stop, Interrupted) else "stopped"
        raise Interrupted(what, where=str(folder.path), mend=go_on) from stop
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        mend = f"free some space; then: {go_on}"
        raise OutputError("the disk is full", where=str(folder.path), mend=mend) from error
    except InputError as error:
        if (folder.path / "trials").exists():
            error.add_note(f"the trials are kept; then: {go_on}")
        else:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
