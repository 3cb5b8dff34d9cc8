"""What is wrong with a file of examples, and a cleaned copy of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.checks import (
    CHECKS,
    Check,
    Cleaned,
    Finding,
    Step,
    Subject,
    clean,
    log_table,
    run_checks,
)
from tunesmith.data import check_writable, choose_columns, read_table, write_table
from tunesmith.recipes._listener import Listener, Silent

__all__ = ["Checked", "Fixed", "check", "fix"]

_WRITTEN = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, and what the checks found in it, the gravest first."""

    subject: Subject
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "data": self.subject.source,
            "num_rows": self.subject.num_rows,
            "text": list(self.subject.text),
            "target": self.subject.target,
            "findings": [finding.as_dict() for finding in self.findings],
        }


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


def check(
    source: str,
    *,
    target: str | None = None,
    text: Sequence[str] = (),
    validation: str | None = None,
    test: str | None = None,
    more_checks: Sequence[Check] = (),
    listener: Listener | None = None,
) -> Checked:
    """Looks for what is wrong with labelled rows; the file stays as it is.

    Raises:
        DataError: a file or its columns cannot be used.
    """
    listener = listener or Silent()
    table = read_table(source)
    columns = choose_columns(table, text=text, target=target)
    for note in (*table.notes, *columns.notes):
        listener.say(note)
    beside = {}
    for part, file in (("validation", validation), ("test", test)):
        if file is not None:
            other = read_table(file)
            named = choose_columns(other, text=columns.text, target=columns.target)
            beside[part] = Subject(other, named.text, named.target)
    subject = Subject(table, columns.text, columns.target, beside=beside)
    checks = (*CHECKS, *more_checks)
    listener.stage(f"checking {table.num_rows:,} rows", len(checks))
    findings = run_checks(subject, checks, on_check=lambda: listener.advance(1))
    return Checked(subject, tuple(findings))


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
        OutputError: there is such a file already, or the disk is full.
    """
    listener = listener or Silent()
    path = output or _copy_of(checked.subject.source)
    log = path.with_name(f"{path.name.split('.')[0]}.changes.csv")
    for file in (path, log):
        check_writable(file, overwrite=overwrite)
    listener.stage("cleaning", None)
    cleaned = clean(
        checked.subject,
        steps,
        on_step=lambda step, count: listener.say(f"{step.name}: {count:,} changes"),
    )
    write_table(log_table(cleaned.changes, str(log)), log, overwrite=overwrite)
    write_table(cleaned.table, path, overwrite=overwrite)
    return Fixed(path, log, cleaned)


def _copy_of(source: str) -> Path:
    path = Path("data.csv") if source == "standard input" else Path(source)
    suffix = path.suffix.lower() if path.suffix.lower() in _WRITTEN else ".csv"
    return path.with_name(f"{path.name.split('.')[0]}-clean{suffix}")
