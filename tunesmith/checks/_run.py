"""Which checks there are, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from tunesmith.checks._characters import check_control_characters, check_markup, check_mojibake
from tunesmith.checks._columns import check_column_leakage, check_useless_columns
from tunesmith.checks._duplicates import check_conflicting_labels, check_exact_duplicates
from tunesmith.checks._finding import Finding
from tunesmith.checks._labels import check_imbalance, check_label_variants, check_rare_labels
from tunesmith.checks._language import check_languages
from tunesmith.checks._lengths import check_lengths
from tunesmith.checks._missing import check_missing, check_placeholders
from tunesmith.checks._misspelt import check_misspelt_values
from tunesmith.checks._near_duplicates import check_near_duplicates, check_overlap
from tunesmith.checks._order import check_order, check_time_drift
from tunesmith.checks._parts import check_parts
from tunesmith.checks._personal import check_personal_data
from tunesmith.checks._subject import Subject
from tunesmith.checks._white_space import check_white_space
from tunesmith.checks._words import check_boilerplate, check_label_in_text, check_telltale_words
from tunesmith.data import forget_pages

__all__ = ["CHECKS", "Check", "by_weight", "run_checks"]

Check: TypeAlias = Callable[[Subject], Iterable[Finding]]
"""A check is a function: it looks at the subject, changes nothing, and says what it found."""

CHECKS: tuple[Check, ...] = (
    check_missing,
    check_placeholders,
    check_white_space,
    check_label_variants,
    check_misspelt_values,
    check_rare_labels,
    check_imbalance,
    check_exact_duplicates,
    check_conflicting_labels,
    check_near_duplicates,
    check_parts,
    check_overlap,
    check_mojibake,
    check_control_characters,
    check_markup,
    check_lengths,
    check_languages,
    check_boilerplate,
    check_telltale_words,
    check_label_in_text,
    check_column_leakage,
    check_useless_columns,
    check_order,
    check_time_drift,
    check_personal_data,
)
"""What `tunesmith check` looks for without a model, in this order."""

_WEIGHT = {"error": 0, "warning": 1, "note": 2}


def run_checks(
    subject: Subject,
    checks: Sequence[Check] = CHECKS,
    *,
    on_check: Callable[[], object] = lambda: None,
) -> list[Finding]:
    """What the checks find, the gravest first.

    Args:
        on_check: called after each check.

    A check of the user's own that raises ends itself alone; a finding says so.
    """
    found: list[Finding] = []
    forget_pages()
    for check in checks:
        found += check(subject) if check in CHECKS else _guarded(check, subject)
        forget_pages()
        on_check()
    return by_weight(found)


def _guarded(check: Check, subject: Subject) -> Iterator[Finding]:
    """What a check finds until it ends or breaks; it may end without a word."""
    name = getattr(check, "__name__", type(check).__name__)
    try:
        for finding in check(subject) or ():
            if not isinstance(finding, Finding):
                raise TypeError(f"it gives {type(finding).__name__}, not Finding")
            yield finding
    except Exception as error:  # noqa: BLE001 - code that is not ours
        yield Finding(
            check=name,
            severity="warning",
            message=f"the check {name!r} broke off: {type(error).__name__}: {error}",
            fix="put the check right; what it found before that is here, and the other checks ran",
        )


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with the gravest first; equally grave ones as they were."""
    return sorted(findings, key=lambda finding: _WEIGHT[finding.severity])
