"""What is wrong with a file of examples, and a cleaned copy of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import (
    Base,
    TokenizedDataset,
    choose_device,
    extract_features,
    find_base,
    load_tokenizer,
    new_classifier,
    set_threads,
    tokenize,
)
from tunesmith.checks import (
    CHECKS,
    Check,
    Cleaned,
    Finding,
    Step,
    Subject,
    by_weight,
    check_outliers,
    check_suspected_labels,
    clean,
    counted,
    log_table,
    run_checks,
)
from tunesmith.data import check_writable, choose_columns, read_table, write_table
from tunesmith.errors import OutputError
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._model import UNKNOWN_SHARE_WORTH_A_WARNING
from tunesmith.recipes._sampling import stratified_sample

__all__ = ["Checked", "Fixed", "check", "fix"]

_MOST_ROWS = 20_000
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

    def json_pieces(self) -> Iterator[str]:
        """`as_dict()` as JSON, in pieces: millions of rows are never one text."""
        whole = json.dumps(replace(self, findings=()).as_dict(), ensure_ascii=False)
        before, name, after = whole.partition('"findings": [')
        yield before + name
        for number, finding in enumerate(self.findings):
            yield ", " if number else ""
            yield from finding.json_pieces()
        yield after


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
    base: str | None = "minilm",
    more_checks: Sequence[Check] = (),
    listener: Listener | None = None,
) -> Checked:
    """Looks for what is wrong with labelled rows; the file stays as it is.

    Args:
        base: the encoder whose view of the texts shows wrong labels and outliers; None for none.

    Raises:
        DataError: a file or its columns cannot be used.
        BaseModelError: the base cannot be opened.
    """
    listener = listener or Silent()
    encoder = None if base is None else find_base(base)
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
    if encoder is not None:
        findings += _by_model(subject, encoder, listener)
    return Checked(subject, tuple(by_weight(findings)))


def _by_model(subject: Subject, base: Base, listener: Listener) -> list[Finding]:
    """What a frozen encoder shows: what it cannot read, wrong labels, texts unlike all others."""
    dataset = subject.dataset
    if len(dataset) > _MOST_ROWS:
        listener.say(f"the encoder looks at {_MOST_ROWS:,} of {len(dataset):,} rows")
        dataset = dataset.take(stratified_sample(dataset, _MOST_ROWS, seed=0))
    if not len(dataset):
        return []
    set_threads(None)
    tokens = tokenize(load_tokenizer(base.path), dataset.inputs, base.max_length)
    listener.stage("reading with the encoder", len(dataset))
    classifier = new_classifier(base.path, base.pooling, 1, adapter=base.adapter)
    features = extract_features(classifier.to(choose_device()), tokens, on_rows=listener.advance)
    places = dataset.rows - 1
    return [
        *_unreadable(tokens, dataset.rows, base),
        *check_suspected_labels(subject, places, features),
        *check_outliers(subject, places, features),
    ]


def _unreadable(tokens: TokenizedDataset, rows: NDArray[np.int64], base: Base) -> Iterator[Finding]:
    """What of the texts the base cuts off, or does not know."""
    cut = tokens.full_lengths > base.max_length
    if cut.any():
        lost = 1 - base.max_length / tokens.full_lengths[cut].mean()
        yield Finding(
            check="too-long-for-base",
            severity="note",
            message=f"{counted(int(cut.sum()), 'text is', 'texts are')}"
            f" longer than the {base.max_length} tokens that "
            f"{base.id} reads; of these about {lost:.0%} is cut off at the end",
            fix="put what matters first, cut texts into pieces, or choose a base that reads more",
            rows=rows[cut],
        )
    if tokens.unknown_share >= UNKNOWN_SHARE_WORTH_A_WARNING:
        yield Finding(
            check="unknown-tokens",
            severity="warning",
            message=f"{base.id} does not know {tokens.unknown_share:.0%} of the tokens",
            fix="choose a base for this language or alphabet with --base",
        )


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
    source = checked.subject.source
    path = output or _copy_of(source)
    log = path.with_name(f"{_stem(path)}.changes.csv")
    for file in (path, log):
        if file.exists() and Path(source).exists() and file.samefile(source):
            mend = "choose another name for the copy"
            raise OutputError("is the file that was checked", where=str(file), mend=mend)
        check_writable(file, overwrite=overwrite)
    listener.stage("cleaning", None)
    cleaned = clean(
        checked.subject,
        steps,
        on_step=lambda step, count: listener.say(
            f"{step.name}: {counted(count, 'change', 'changes')}"
        ),
    )
    write_table(log_table(cleaned.changes, str(log)), log, overwrite=overwrite)
    log.chmod(0o600)  # it holds what was taken out, personal data too
    write_table(cleaned.table, path, overwrite=overwrite)
    return Fixed(path, log, cleaned)


def _copy_of(source: str) -> Path:
    path = Path("data.csv") if source == "standard input" else Path(source)
    suffix = path.suffix.lower() if path.suffix.lower() in _WRITTEN else ".csv"
    return path.with_name(f"{_stem(path)}-clean{suffix}")


def _stem(path: Path) -> str:
    """The name without what says its kind: "mail.csv.gz" is "mail", "mail.v2.csv" is "mail.v2"."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem
