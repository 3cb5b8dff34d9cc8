"""What is wrong with a file of examples, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.bases import find_base
from tunesmith.checks import (
    CHECKS,
    Change,
    Check,
    Corrected,
    Finding,
    Names,
    Subject,
    apply_corrections,
    find_changes,
    looking_for_names,
    open_names,
    read_corrections,
)
from tunesmith.data import Columns, choose_columns, fingerprint, read_table
from tunesmith.errors import OutputError
from tunesmith.recipes._copies import copy_of, refuse_sources, sources_of
from tunesmith.recipes._findings import find_faults
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.storage import write_bytes

__all__ = ["Checked", "check", "require_page"]

_TOO_MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, and what the checks found in it, the gravest first.

    Attributes:
        corrected: what was decided in a review and applied before; None where nothing was.
        base: the encoder that looked for wrong labels; None where none did.
        notes: what was said on the way.
        names: what finds names of persons; None where they are not looked for.
    """

    subject: Subject
    findings: tuple[Finding, ...]
    corrected: Corrected | None = None
    base: str | None = None
    notes: tuple[str, ...] = ()
    names: Names | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the corrections changed."""
        return () if self.corrected is None else self.corrected.changes

    @property
    def fingerprint(self) -> str | None:
        """The digest of the complete rows, as a bundle's manifest has it; None of a million and
        more, which it would take into memory.
        """
        if self.subject.num_rows >= _TOO_MANY or not self.subject.is_complete.any():
            return None
        return fingerprint(self.subject.dataset)

    def as_dict(self) -> dict[str, Any]:
        facts = {} if self.corrected is None else {"corrections": self.corrected.facts()}
        return {
            "data": self.subject.source,
            "num_rows": self.subject.num_rows,
            "text": list(self.subject.text),
            "target": self.subject.target,
            "fingerprint": self.fingerprint,
            **facts,
            "findings": [finding.as_dict() for finding in self.findings],
        }

    def json_pieces(self, more: Mapping[str, Any] | None = None) -> Iterator[str]:
        """`as_dict()` as JSON, in pieces: millions of rows are never one text.

        Args:
            more: what else the object holds.
        """
        values = {**replace(self, findings=()).as_dict(), **(more or {})}
        whole = json.dumps(values, ensure_ascii=False)
        before, name, after = whole.partition('"findings": [')
        yield before + name
        for number, finding in enumerate(self.findings):
            yield ", " if number else ""
            yield from finding.json_pieces()
        yield after

    def to_html(self) -> str:
        """One self-contained page: no script, nothing loaded from anywhere, personal data masked.

        It stays below 2 MB, however much was found.
        """
        from tunesmith.checks._page import render_page

        copy = str(copy_of(self.subject.source))
        with looking_for_names(self.names):
            return render_page(
                self.subject, self.findings, base=self.base, notes=self.notes, copy=copy
            )

    def write_page(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Writes the page, whole or not at all.

        Raises:
            OutputError: as `require_page` says, or the disk is full.
        """
        _require(Path(path), sources_of(self.subject.table), overwrite=overwrite)
        write_bytes(Path(path), self.to_html().encode())


def check(
    source: str,
    *,
    target: str | None = None,
    text: Sequence[str] = (),
    validation: str | None = None,
    test: str | None = None,
    against: str | None = None,
    label_separator: str | None = None,
    base: str | None = "minilm",
    corrections: str | Path | None = None,
    more_checks: Sequence[Check] = (),
    names: Names | None = None,
    listener: Listener | None = None,
) -> Checked:
    """Looks for what is wrong with labelled rows; the file stays as it is.

    Args:
        against: an earlier version of the data; what changed since is a finding too.
        label_separator: what joins the labels of a row, where rows have several.
        base: the encoder whose view of the texts shows wrong labels and outliers; None for none.
        corrections: a file of decisions that are applied first, so that what is left is shown.
        more_checks: checks of one's own.
        names: finds names of persons, which are personal data then; None to look for none.

    Raises:
        ConfigError: the model that finds names is none.
        DataError: a file or its columns cannot be used, or corrections fit no row.
        BaseModelError: the base cannot be opened.
    """
    listener = listener or Silent()
    encoder = None if base is None else find_base(base)
    table = read_table(source)
    columns = choose_columns(table, text=text, target=target)
    notes = [*table.notes, *columns.notes]
    for note in notes:
        listener.say(note)
    beside = _beside(columns, label_separator, validation=validation, test=test)
    subject = Subject(
        table, columns.text, columns.target, label_separator=label_separator, beside=beside
    )
    corrected = None
    if corrections is not None:
        corrected = apply_corrections(subject, read_corrections(corrections))
        subject = corrected.subject
        listener.say(corrected.summary())
        notes.append(corrected.summary())
    with looking_for_names(names):
        open_names(subject)
        findings = find_faults(subject, (*CHECKS, *more_checks), encoder, listener, notes)
        for earlier in _beside(columns, label_separator, against=against).values():
            findings += find_changes(subject, earlier)
    name = None if encoder is None else base
    return Checked(subject, tuple(findings), corrected, name, tuple(notes), names)


def require_page(path: Path, source: str, *, overwrite: bool = False) -> None:
    """Finds out, before rows are worked on, whether a page may be written there.

    Raises:
        OutputError: the name does not end in .html, it is a folder, the file that is checked, or a
            file that exists and may not be replaced.
    """
    _require(path, [source], overwrite=overwrite)


def _require(path: Path, sources: Sequence[str], *, overwrite: bool) -> None:
    refuse_sources(path, sources)
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError("is no name for a page", where=str(path), mend="end it in .html")
    if path.is_dir():
        raise OutputError("is a folder", where=str(path), mend="name a file")
    if path.exists() and not overwrite:
        mend = "choose another name, or --overwrite"
        raise OutputError("the file exists", where=str(path), mend=mend)


def _beside(columns: Columns, separator: str | None, **files: str | None) -> dict[str, Subject]:
    """The other files with the same columns, by their part."""
    beside = {}
    for part, file in files.items():
        if file is not None:
            other = read_table(file)
            named = choose_columns(other, text=columns.text, target=columns.target)
            beside[part] = Subject(other, named.text, named.target, label_separator=separator)
    return beside
