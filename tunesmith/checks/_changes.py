"""What changed since an earlier version of the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunesmith.checks._finding import Finding
from tunesmith.checks._subject import Subject
from tunesmith.data import Changes, compare, rows_text

__all__ = ["find_changes"]


def find_changes(subject: Subject, before: Subject) -> Iterator[Finding]:
    """Says which rows were added, removed or relabelled since `before`; nothing where none was."""
    changes = compare(before.dataset, subject.dataset)
    if not changes:
        return
    yield Finding(
        check="changes",
        severity="note",
        message=f"since {before.source}: {changes.sentence()}",
        fix="see whether that is what was meant to change; the rows named are those added or "
        f"relabelled{_removed(changes)}",
        rows=np.sort(np.concatenate([changes.added, changes.relabelled[:, 1]])),
        column=subject.target,
        details=[
            *({"change": "added", "row": row} for row in changes.added.tolist()),
            *({"change": "removed", "row_before": row} for row in changes.removed.tolist()),
        ]
        + [
            {
                "change": "relabelled",
                "row": row,
                "row_before": old,
                "label": subject.targets[row - 1],
                "label_before": before.targets[old - 1],
            }
            for old, row in changes.relabelled.tolist()
        ],
    )


def _removed(changes: Changes) -> str:
    if not len(changes.removed):
        return ""
    return f"; removed there: {rows_text(changes.removed, 5)}"
