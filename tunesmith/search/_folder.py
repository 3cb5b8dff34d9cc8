"""The folder of a study."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tunesmith import storage
from tunesmith.config import RunConfig
from tunesmith.errors import ConfigError, OutputError
from tunesmith.search._parse import parse_space
from tunesmith.search._settings import SearchSettings, make_settings
from tunesmith.search._space import Point, Space

__all__ = ["StudyFile", "StudyFolder"]


@dataclass(frozen=True, slots=True)
class StudyFile:
    """What `study.yaml` holds: all that decides how the study goes on.

    Attributes:
        search: how long and how widely.
        space: what is varied.
        start: the point that is tried first: the user's own settings.
        run: the settings that are varied, as the user gave them.
        fixed: setting → value that trials and the final run have; decided when the study began.
        pinned: what must be unchanged when it goes on: digests of data and base.
    """

    search: SearchSettings
    space: Space
    start: Point
    run: RunConfig
    fixed: Mapping[str, Any]
    pinned: Mapping[str, str]

    def with_search(
        self, changes: Mapping[str, object], *, names: Mapping[str, str] | None = None
    ) -> StudyFile:
        """The same with other limits; those that are None stay.

        Args:
            names: see `make_settings`.

        Raises:
            ConfigError: all faults at once.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(
            self, search=make_settings({**self.search.model_dump(), **given}, names=names)
        )


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Where a study keeps its things."""

    path: Path

    @property
    def rows(self) -> Path:
        """Rows for training and validation, the user's alone; gone once the study is finished."""
        return self.path / "rows"

    @property
    def best(self) -> Path:
        """The run with the chosen settings."""
        return self.path / "best"

    def write(self, study: StudyFile) -> None:
        """Writes study.yaml.

        Raises:
            OutputError: the disk is full, or may not be written.
        """
        values = {
            "search": study.search.model_dump(),
            "space": study.space.as_dict(),
            "start": dict(study.start),
            "fixed": dict(study.fixed),
            "pinned": dict(study.pinned),
            "run": study.run.model_dump(mode="json"),
        }
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        storage.write_bytes(self.path / "study.yaml", text.encode())

    def read(self) -> StudyFile:
        """Reads study.yaml.

        Raises:
            OutputError: there is none.
            ConfigError: it was changed to what cannot be read.
        """
        file = self.path / "study.yaml"
        if not file.is_file():
            raise OutputError(
                "is no study that can be resumed (no study.yaml)",
                where=str(self.path),
                mend="give the folder that the interrupted command named",
            )
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            return StudyFile(
                search=make_settings(values["search"]),
                space=parse_space(values["space"], where=str(file)),
                start=values["start"],
                run=RunConfig.model_validate(values["run"]),
                fixed=values["fixed"],
                pinned=values["pinned"],
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"cannot be read: {error}", where=str(file)) from error

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps others from going on with the study at the same time.

        Raises:
            OutputError: another process does.
        """
        with (self.path / ".lock").open("w") as opened:
            if os.name == "posix":
                import fcntl

                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise OutputError(
                        "another process goes on with this study", where=str(self.path)
                    ) from None
            yield
