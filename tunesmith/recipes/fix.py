"""A cleaned copy of a file that was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.checks import Cleaned, Step, clean, counted, log_table, looking_for_names
from tunesmith.data import check_writable, write_table
from tunesmith.recipes._copies import copy_of, refuse_sources, sources_of, stem_of
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes.check import Checked

__all__ = ["Fixed", "fix", "require_copy"]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A cleaned copy, and its log of changes."""

    path: Path
    log: Path
    cleaned: Cleaned

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "log": str(self.log),
            "num_rows": self.cleaned.table.num_rows,
            "steps": self.cleaned.counts(),
        }


def require_copy(source: str, output: Path | None, *, overwrite: bool = False) -> None:
    """Finds out, before rows are worked on, whether a copy and its log may be written there.

    Raises:
        OutputError: as `fix` says, but for the disk.
    """
    named = "standard input" if source == "-" else source
    _require(named, [named], output, overwrite=overwrite)


def _require(
    source: str, sources: Sequence[str], output: Path | None, *, overwrite: bool
) -> tuple[Path, Path]:
    """Where the copy and its log are written to."""
    path = output or copy_of(source)
    log = path.with_name(f"{stem_of(path)}.changes.csv")
    for file in (path, log):
        refuse_sources(file, sources)
        check_writable(file, overwrite=overwrite)
    return path, log


def fix(
    checked: Checked,
    steps: Sequence[Step],
    *,
    output: Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Fixed:
    """Writes a cleaned copy and a log of all changes; the file itself is never written to.

    Args:
        output: where to; `<name>-clean.csv` beside the file where None. The log lies beside it.

    Raises:
        OutputError: there is such a file already, it is the one checked, or the disk is full.
    """
    listener = listener or Silent()
    path, log = _require(
        checked.subject.source, sources_of(checked.subject.table), output, overwrite=overwrite
    )
    listener.stage("cleaning", None)
    with looking_for_names(checked.names):
        cleaned = clean(
            checked.subject,
            steps,
            on_step=lambda step, count: listener.say(
                f"{step.name}: {counted(count, 'change', 'changes')}"
            ),
        )
    changes = (*checked.changes, *cleaned.changes)
    write_table(log_table(changes, str(log)), log, overwrite=overwrite)
    log.chmod(0o600)  # it holds what was taken out, personal data too
    write_table(cleaned.table, path, overwrite=overwrite)
    return Fixed(path, log, cleaned)
