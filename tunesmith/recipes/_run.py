"""One execution and its folder: settings, log, checkpoints, report, bundle."""

from __future__ import annotations

import errno
import json
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith import config as config_module
from tunesmith import storage
from tunesmith.bases import Precision
from tunesmith.bundles import Bundle, is_bundle, open_bundle, write_rows
from tunesmith.config import RunConfig
from tunesmith.data import source_stem
from tunesmith.errors import DivergedError, InputError, Interrupted, OutputError, TunesmithError
from tunesmith.evaluation import Report
from tunesmith.training import Checkpoints
from tunesmith.types import Dataset, Metrics

__all__ = ["Run", "RunFolder", "as_output_error", "settings_by_name"]


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: settings, log, report and bundle.
        bundle: what can be evaluated, predicted with and served.
        report: how good it is; shows itself in a notebook.
        seconds: from the start to the bundle.
    """

    folder: Path
    bundle: Bundle
    report: Report
    seconds: float

    @property
    def metrics(self) -> Metrics:
        """The model's figures on the test rows."""
        return self.report.metrics

    def as_dict(self) -> dict[str, Any]:
        forgetting = self.report.forgetting
        return {
            "bundle": str(self.bundle.path),
            "run": str(self.folder),
            "metrics": self.metrics.as_dict(),
            "seconds": round(self.seconds, 2),
            **({} if forgetting is None else {"forgetting": forgetting.summary()}),
        }

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its things."""

    path: Path

    @classmethod
    def create(cls, config: RunConfig, size_bytes: int) -> RunFolder:
        """A new folder for a run, with its settings in it.

        Args:
            size_bytes: about what the run will write at most.

        Raises:
            OutputError: the folder holds something, cannot be written, or has not enough space.
        """
        stem = source_stem(config.data.source, "run")
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = Path(config.output) if config.output else Path("runs") / f"{stem}-{stamp}"
        storage.require_empty(path)
        storage.require_space(path, size_bytes)
        storage.write_bytes(path / "config.yaml", config_module.dump(config).encode())
        return cls(path)

    @classmethod
    def reopen(
        cls, path: Path, *, learning_rate: float | None = None
    ) -> tuple[RunFolder, RunConfig]:
        """The folder of a run that was interrupted, and its settings.

        Args:
            learning_rate: from now on; None: as it was.

        Raises:
            ConfigError: the rate cannot be used.
            OutputError: it is no such folder, or its run has finished.
        """
        if not (path / "config.yaml").is_file():
            raise OutputError(
                "is no run that can be resumed (no config.yaml)",
                where=str(path),
                mend="give the run folder that the interrupted command named",
            )
        folder = cls(path)
        if is_bundle(folder.bundle):
            raise OutputError(
                "this run has finished", where=str(path), mend=f"its bundle is {folder.bundle}"
            )
        config = config_module.load(
            path / "config.yaml", settings={"training.learning_rate": learning_rate}
        )
        if learning_rate is not None:
            for method in folder.checkpoints.glob("*/"):
                Checkpoints(method).remove_diverged()
            for soup in folder.checkpoints.glob("*-soup/"):  # of trainings at the rate of before
                Checkpoints(soup).remove()
            folder._allow("training.learning_rate", learning_rate)
            storage.write_bytes(path / "config.yaml", config_module.dump(config).encode())
        return folder, config

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def precision(self) -> Precision | None:
        """What the run computes in, where it has come so far as to know."""
        return self._pinned().get("precision")

    @property
    def _can_go_on(self) -> bool:
        return any(self.checkpoints.rglob("step-*"))

    def keep_rows(self, learned: Dataset, chosen_by: Dataset, facts: Mapping[str, Any]) -> None:
        """Keeps the rows that were learned from and chosen by, for their owner alone.

        A child's run can replay the training rows, and say what changed since. The test rows are in
        the bundle.

        Args:
            chosen_by: the validation rows; they may be among those learned from.
            facts: what is known of the data, the columns' names `text` and `target` among it.

        Raises:
            OSError, OutputError: the disk is full, or may not be written.
        """
        folder = self.path / "rows"
        storage.make_private(folder)
        for name, rows in (("train", learned), ("validation", chosen_by)):
            part, final = folder / f".{name}.parquet.part", folder / f"{name}.parquet"
            part.unlink(missing_ok=True)
            try:
                write_rows(part, rows, facts["text"], facts["target"])
                part.chmod(0o600)
                part.replace(final)
            finally:
                part.unlink(missing_ok=True)

    def remove_state(self) -> None:
        """Removes what only an unfinished run needs."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        (self.path / "plan.json").unlink(missing_ok=True)

    @contextmanager
    def in_use(self, *, is_new: bool) -> Iterator[None]:
        """Says how to go on where the block is stopped or the disk is full.

        Args:
            is_new: whether to remove the folder where it came to nothing that could be resumed.

        Raises:
            Interrupted: the user stopped it.
            OutputError: the disk is full.
        """
        go_on = f"tunesmith train --resume {shlex.quote(str(self.path))}"
        try:
            yield
        except (Interrupted, KeyboardInterrupt) as stop:
            what = stop.faults[0].what if isinstance(stop, Interrupted) else "stopped"
            raise Interrupted(what, where=str(self.path), mend=go_on) from stop
        except (OutputError, OSError) as error:
            full = as_output_error(error, self.path)
            if self._can_go_on:
                full.add_note(f"what was trained so far is kept; then: {go_on}")
            elif is_new:
                shutil.rmtree(self.path, ignore_errors=True)
            raise full from error
        except TunesmithError as error:
            if is_new and not self._can_go_on:
                shutil.rmtree(self.path, ignore_errors=True)
            elif isinstance(error, DivergedError) and self._can_go_on:
                error.add_note(
                    "to go on with a lower rate, from the last checkpoint before the loss rose or, "
                    f"where there is none, from the start: {go_on} --set training.learning_rate=…"
                )
            raise

    def finished(self, seconds: float) -> Run:
        """The run that was written here."""
        report = json.loads((self.path / "report.json").read_text(encoding="utf-8"))
        return Run(self.path, open_bundle(self.bundle), Report.from_dict(report), seconds)

    def copy_report(self, bundle: Bundle) -> None:
        """Puts the bundle's report where a person looks for it first.

        Raises:
            OutputError: the disk is full.
        """
        for name in ("report.json", "report.html"):
            storage.write_bytes(self.path / name, (bundle.path / "report" / name).read_bytes())

    def _allow(self, name: str, value: object) -> None:
        """Lets a setting differ from what it was when the run was interrupted."""
        if before := self._pinned():
            self._write_pinned({**before, name: value})

    def pin(self, facts: dict[str, Any], *, resumed: bool) -> None:
        """Keeps what a resumed run must find unchanged, or checks that it is.

        Raises:
            InputError: something differs; says what.
        """
        before = self._pinned() if resumed else {}
        if not before:
            self._write_pinned(facts)
            return
        changed = [name for name in facts if facts[name] != before.get(name)]
        if changed:
            # Other data or another seed make other parts: that is not worth a word beside them.
            causes = [name for name in changed if not name.endswith(" rows")] or changed
            raise InputError(
                f"cannot be resumed: {', '.join(causes)} changed since it was interrupted",
                where=str(self.path),
                mend="put it back as it was, or start a new run",
            )

    def _pinned(self) -> dict[str, Any]:
        """What was kept by `pin`; nothing where the run was stopped before that."""
        file = self.path / "pinned.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def _write_pinned(self, facts: Mapping[str, Any]) -> None:
        storage.write_bytes(self.path / "pinned.json", json.dumps(facts, indent=1).encode())


def settings_by_name(config: RunConfig) -> dict[str, Any]:
    """Every setting but the output folder, by its dotted name, as JSON values."""
    facts: dict[str, Any] = {}
    for name, value in config.model_dump(mode="json", exclude={"output"}).items():
        if isinstance(value, dict):
            facts |= {f"{name}.{inner}": own for inner, own in value.items()}
        else:
            facts[name] = value
    return facts


def as_output_error(error: OutputError | OSError, place: Path) -> OutputError:
    """The error itself, or the system's word for a full disk as one; others are raised again."""
    if isinstance(error, OutputError):
        return error
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    mend = "free some space, or choose another disk"
    return OutputError("the disk is full", where=str(place), mend=mend)
