"""Whether the files beside the data fit it: what training would refuse them for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunesmith.checks._finding import Finding, row_numbers
from tunesmith.checks._subject import Subject
from tunesmith.data import listed

__all__ = ["check_parts"]


def check_parts(subject: Subject) -> Iterator[Finding]:
    """Finds what of the validation and test files lacks text or label, or was never trained on."""
    for part, other in subject.beside.items():
        lacking = np.flatnonzero(~other.is_complete)
        if len(lacking):
            yield Finding(
                check=f"{part}-incomplete",
                severity="error",
                message=f"{len(lacking):,} of {other.num_rows:,} {part} rows have no text or no "
                "label",
                fix="fill them in, or leave them out with --drop-missing",
                rows=row_numbers(lacking),
                part=part,
            )
        unknown = sorted(set(other.label_counts) - set(subject.label_counts))
        if unknown and subject.target is not None:
            yield Finding(
                check=f"{part}-labels",
                severity="error",
                message=f"the {part} file has labels that {subject.source} does not have: "
                f"{listed(unknown)}",
                fix=f"add training rows with them, or take them out of the {part} file",
                rows=other.rows_with(unknown),
                part=part,
            )
