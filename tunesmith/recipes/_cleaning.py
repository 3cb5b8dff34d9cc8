"""The rows as they are learned from: corrected, cleaned, and looked at before anything is done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tunesmith.checks import (
    Cleaned,
    Finding,
    Subject,
    apply_corrections,
    clean,
    counted,
    find_steps,
    open_names,
    read_corrections,
    run_checks,
)
from tunesmith.config import DataConfig, redact
from tunesmith.data import Columns, Table
from tunesmith.recipes._listener import Listener

__all__ = ["CleanRows", "clean_rows", "look_for_faults"]

_MOST_WARNINGS = 8
_KNOWN_ALREADY = ("missing-text", "missing-label")  # refused, or left out with a note of their own


@dataclass(frozen=True, slots=True)
class CleanRows:
    """A file's rows after corrections and cleaning; their numbers are those of the file.

    Attributes:
        subject: the rows; those that are left out have nothing in their cells.
        leave_out: reason → places of the rows that are left out for it.
        facts: what the manifest says of it.
    """

    subject: Subject
    leave_out: Mapping[str, frozenset[int]]
    facts: Mapping[str, Any]


def clean_rows(table: Table, columns: Columns, config: DataConfig, listener: Listener) -> CleanRows:
    """Applies the corrections of a review, then the cleaning steps that are asked for.

    Raises:
        ConfigError: there is no such step.
        DataError: a correction fits no row.
    """
    steps = find_steps(config.clean)
    subject = Subject(
        table,
        columns.text,
        columns.target,
        multi_label=config.multi_label,
        label_separator=config.label_separator,
    )
    open_names(subject)
    leave_out: dict[str, frozenset[int]] = {}
    facts: dict[str, Any] = {}
    if config.corrections is not None:
        corrected = apply_corrections(subject, read_corrections(config.corrections))
        listener.say(corrected.summary())
        subject = corrected.subject
        leave_out["corrections"] = subject.left_out
        facts["corrections"] = corrected.facts()
    if steps:
        listener.stage("cleaning")
        cleaned = clean(subject, steps)
        for name, count in cleaned.counts().items():
            listener.say(f"{name}: {counted(count, 'change', 'changes')}")
        before = subject.left_out
        subject = _in_place(subject, cleaned)
        leave_out["cleaning"] = subject.left_out - before
        facts["steps"] = cleaned.counts()
    return CleanRows(subject, leave_out, facts)


def look_for_faults(
    subject: Subject, config: DataConfig, listener: Listener
) -> list[dict[str, Any]]:
    """Runs the checks that need no model, and says what they find; nothing is changed.

    Returns:
        Each finding without its rows, for the manifest.
    """
    listener.stage("checking the rows")
    findings = [one for one in run_checks(subject) if one.check not in _KNOWN_ALREADY]
    grave = [one for one in findings if one.severity != "note"]
    for one in grave[:_MOST_WARNINGS]:
        listener.warn(one.message)
    if findings:
        listener.say(f"{_counts(findings)}; the rows: {_command(subject, config)}")
    return [
        {
            "check": one.check,
            "severity": one.severity,
            "num_rows": len(one.rows),
            "message": one.message,
        }
        for one in findings
    ]


def _counts(findings: Sequence[Finding]) -> str:
    """ "2 warnings and 3 notes by the checks"."""
    by_severity = {
        word: sum(one.severity == word for one in findings) for word in ("error", "warning", "note")
    }
    told = [counted(n, word, f"{word}s") for word, n in by_severity.items() if n]
    return f"{', '.join(told)} by the checks"


def _command(subject: Subject, config: DataConfig) -> str:
    columns = [part for name in subject.text for part in ("--text", name)]
    columns += ["--target", subject.target] if subject.target else []
    options = ["--corrections", config.corrections] if config.corrections else []
    options += ["--names"] if config.names else []
    return shlex.join(["tunesmith", "check", redact(config.source), *columns, *options])


def _in_place(subject: Subject, cleaned: Cleaned) -> Subject:
    """The subject with cleaned cells, and with nothing in the rows that were left out."""
    places = np.full(subject.num_rows, -1, dtype=np.int64)
    places[cleaned.rows - 1] = np.arange(len(cleaned.rows))
    indices = pa.array(places, mask=places < 0)
    table = replace(cleaned.table, arrow=cleaned.table.arrow.take(indices))
    table = replace(table, parts=subject.table.parts)
    return replace(subject, table=table, left_out=frozenset(np.flatnonzero(places < 0).tolist()))
