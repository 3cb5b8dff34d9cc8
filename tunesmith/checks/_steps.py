"""The steps that clean a table: named, in a fixed order, each change written down.

A step says what it would change; `clean` does it. What is done can be undone from the log, and a
step that is taken twice changes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tunesmith.checks._characters import (
    check_control_characters,
    check_markup,
    check_mojibake,
    repair_mojibake,
    strip_control_characters,
    strip_markup,
)
from tunesmith.checks._duplicates import check_conflicting_labels, check_exact_duplicates
from tunesmith.checks._finding import Finding
from tunesmith.checks._labels import check_rare_labels, label_variants
from tunesmith.checks._lengths import check_lengths
from tunesmith.checks._masking import redacted
from tunesmith.checks._missing import check_missing, check_placeholders, is_placeholder
from tunesmith.checks._misspelt import check_misspelt_values
from tunesmith.checks._near_duplicates import check_near_duplicates
from tunesmith.checks._personal import check_personal_data
from tunesmith.checks._run import Check
from tunesmith.checks._subject import Subject
from tunesmith.checks._white_space import check_white_space
from tunesmith.data import labels_of
from tunesmith.errors import ConfigError
from tunesmith.tasks import label_text

__all__ = ["MISSING_TEXT", "STEPS", "Edit", "Step", "fill_missing"]

MISSING_TEXT = "[missing]"
"""What `fill-missing` puts where there is no text; `fill-missing=TEXT` puts another."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change: a cell gets another value, or (without a column) a row is left out.

    Attributes:
        place: the row's place in the table as it is, from 0.
        column: the cell's column; None to leave out the whole row.
        after: the cell's new value; None empties it.
    """

    place: int
    column: str | None = None
    after: object = None


@dataclass(frozen=True, slots=True)
class Step:
    """One way to clean.

    Attributes:
        why: what is written beside each of its changes.
        is_safe: whether it may be taken without asking: it loses nothing that a model could learn.
        edits: what it would change in a table.
    """

    name: str
    why: str
    is_safe: bool
    edits: Callable[[Subject], Iterator[Edit]]


_Mend: TypeAlias = Callable[[str], str]


def _rewrite(check: Check, mend: _Mend) -> Callable[[Subject], Iterator[Edit]]:
    """Puts every text that a check names right."""

    def edits(subject: Subject) -> Iterator[Edit]:
        for finding in check(subject):
            if finding.step is None:
                continue
            assert finding.column is not None
            for row in finding.rows.tolist():
                before = subject.text_at(finding.column, row - 1)
                after = mend(before)
                if after != before:
                    yield Edit(row - 1, finding.column, after or None)

    return edits


def _drop(check: Check, step: str) -> Callable[[Subject], Iterator[Edit]]:
    """Leaves out every row that a check names for this step."""

    def edits(subject: Subject) -> Iterator[Edit]:
        findings: list[Finding] = [one for one in check(subject) if one.step == step]
        for row in sorted({row for one in findings for row in one.rows.tolist()}):
            yield Edit(row - 1)

    return edits


def fill_missing(marker: str) -> Callable[[Subject], Iterator[Edit]]:
    """Puts a marker where there is no text.

    Raises:
        ConfigError: the marker itself stands for nothing, so that it would be emptied again.
    """
    if is_placeholder(marker):
        mend = "write a word that no text holds, such as fill-missing=[missing]"
        raise ConfigError(f"{marker!r} stands for nothing itself", where="fill-missing", mend=mend)

    def edits(subject: Subject) -> Iterator[Edit]:
        for name in subject.text:
            for place in subject.blank_places(name).tolist():
                yield Edit(place, name, marker)

    return edits


def _unify_labels(subject: Subject) -> Iterator[Edit]:
    variants = label_variants(subject.label_counts)
    if not variants or subject.target is None:
        return
    values = subject.table.values(subject.target)
    for place, (target, before) in enumerate(zip(subject.targets, values, strict=True)):
        if target is None or variants.keys().isdisjoint(labels_of(target)):
            continue
        meant = [variants.get(label, label) for label in labels_of(target)]
        if isinstance(target, str):
            yield Edit(place, subject.target, meant[0])
        elif isinstance(before, list):
            yield Edit(place, subject.target, list(dict.fromkeys(meant)))
        else:
            separator = subject.label_separator or ("|" if "|" in label_text(before) else ";")
            yield Edit(place, subject.target, separator.join(dict.fromkeys(meant)))


def _correct_misspelt(subject: Subject) -> Iterator[Edit]:
    for finding in check_misspelt_values(subject):
        for one in finding.details:
            yield Edit(one["row"] - 1, finding.column, one["suggested"])


_ALL = (
    Step(
        "repair-mojibake",
        "was read in a wrong encoding",
        True,
        _rewrite(check_mojibake, repair_mojibake),
    ),
    Step(
        "strip-control-characters",
        "held characters that nobody sees",
        True,
        _rewrite(check_control_characters, strip_control_characters),
    ),
    Step("strip-markup", "held HTML", True, _rewrite(check_markup, strip_markup)),
    Step(
        "empty-placeholders", "stood for nothing", True, _rewrite(check_placeholders, lambda _: "")
    ),
    Step("strip-labels", "had white space around it", True, _rewrite(check_white_space, str.strip)),
    Step("unify-labels", "was another way to write a label", True, _unify_labels),
    Step("correct-misspelt-values", "looked misspelt", False, _correct_misspelt),
    Step(
        "redact-personal-data",
        "held personal data",
        False,
        _rewrite(check_personal_data, redacted),
    ),
    Step("fill-missing", "has no text: a marker stands for it", False, fill_missing(MISSING_TEXT)),
    Step("drop-missing", "has no text, or no label", True, _drop(check_missing, "drop-missing")),
    Step(
        "drop-duplicates",
        "repeats the text and the label of an earlier row",
        True,
        _drop(check_exact_duplicates, "drop-duplicates"),
    ),
    Step(
        "drop-conflicting",
        "has a text that other rows label differently",
        False,
        _drop(check_conflicting_labels, "drop-conflicting"),
    ),
    Step(
        "drop-near-duplicates",
        "says nearly what an earlier row says",
        False,
        _drop(check_near_duplicates, "drop-near-duplicates"),
    ),
    Step("drop-short", "has one or two characters", False, _drop(check_lengths, "drop-short")),
    Step(
        "drop-rare-labels",
        "has a label of its own",
        False,
        _drop(check_rare_labels, "drop-rare-labels"),
    ),
)

STEPS = {step.name: step for step in _ALL}
"""Every step by its name, in the order in which they are taken: text first, whole rows last."""
