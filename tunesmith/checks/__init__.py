"""What is wrong with a file of examples, row by row, and the steps that mend it.

    subject = Subject(table, ("text",), "label")
    for finding in run_checks(subject):
        print(finding.severity, finding.message, finding.rows)

A check of one's own is a function from a subject to findings; hand it over with the others.
"""

from __future__ import annotations

from tunesmith.checks._apply import Corrected, apply_corrections
from tunesmith.checks._changes import find_changes
from tunesmith.checks._clean import Change, Cleaned, clean, find_steps, log_table, revert
from tunesmith.checks._corrections import (
    Action,
    Correction,
    Corrections,
    digest_text,
    find_places,
    read_corrections,
    row_codes,
    write_corrections,
)
from tunesmith.checks._finding import Finding, Severity, counted, row_numbers
from tunesmith.checks._judges import by_neighbours, unit_length, word_vectorizer
from tunesmith.checks._language import languages_of, tell_language
from tunesmith.checks._masking import redacted
from tunesmith.checks._masking import spans as personal_spans
from tunesmith.checks._misspelt import check_misspelt_values
from tunesmith.checks._names import Names, looking_for_names, open_names
from tunesmith.checks._near import connected, near_pairs
from tunesmith.checks._run import CHECKS, Check, by_weight, run_checks
from tunesmith.checks._steps import STEPS, Edit, Step
from tunesmith.checks._subject import Subject
from tunesmith.checks._suspected import check_outliers, check_suspected_labels

__all__ = [
    "CHECKS",
    "STEPS",
    "Action",
    "Change",
    "Check",
    "Cleaned",
    "Corrected",
    "Correction",
    "Corrections",
    "Edit",
    "Finding",
    "Names",
    "Severity",
    "Step",
    "Subject",
    "apply_corrections",
    "by_neighbours",
    "by_weight",
    "check_misspelt_values",
    "check_outliers",
    "check_suspected_labels",
    "clean",
    "connected",
    "counted",
    "digest_text",
    "find_changes",
    "find_places",
    "find_steps",
    "languages_of",
    "log_table",
    "looking_for_names",
    "near_pairs",
    "open_names",
    "personal_spans",
    "read_corrections",
    "redacted",
    "revert",
    "row_codes",
    "row_numbers",
    "run_checks",
    "tell_language",
    "unit_length",
    "word_vectorizer",
    "write_corrections",
]
