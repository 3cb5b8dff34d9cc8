"""Texts that occur more than once, and what their labels say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._subject import Subject
from tunesmith.data import rows_text
from tunesmith.types import Target

__all__ = ["check_conflicting_labels", "check_exact_duplicates"]


def check_exact_duplicates(subject: Subject) -> Iterator[Finding]:
    """Finds rows whose text and label stand in an earlier row.

    Texts are equal that differ in case and white space alone.
    """
    clusters, copies = [], []
    for rows, targets in _equal_rows(subject):
        first: dict[Target, list[int]] = {}
        for row, target in zip(rows, targets, strict=True):
            first.setdefault(target, []).append(row)
        for same in first.values():
            if len(same) > 1:
                clusters.append(same)
                copies += same[1:]
    if not copies:
        return
    clusters.sort()
    yield Finding(
        check="exact-duplicates",
        severity="warning",
        message=f"{counted(len(copies), 'row repeats', 'rows repeat')}"
        " the text and the label of an earlier row, such as "
        f"{rows_text(clusters[0], 4)}",
        fix="leave the copies out: they weigh double in training, and flatter the figures where "
        "one is trained on and the other judged",
        rows=np.array(sorted(copies), dtype=np.int64),
        step="drop-duplicates",
        groups=clusters,
    )


def check_conflicting_labels(subject: Subject) -> Iterator[Finding]:
    """Finds equal texts that have different labels."""
    if subject.target is None:
        return
    clusters, details = [], []
    for rows, targets in _equal_rows(subject):
        if len(set(targets)) > 1:
            clusters.append(rows)
            votes = Counter(targets)
            details += [
                {"row": row, "label": target, "rows_with_this_label": votes[target]}
                for row, target in zip(rows, targets, strict=True)
            ]
    if not clusters:
        return
    clusters.sort()
    rows = sorted(row for cluster in clusters for row in cluster)
    yield Finding(
        check="conflicting-labels",
        severity="warning",
        message=f"{counted(len(clusters), 'text has', 'texts have')}"
        " different labels in different rows, such as "
        f"{rows_text(clusters[0], 4)}",
        fix="decide which label is right; if several are, tell the labels apart more clearly, or "
        "allow several a row",
        rows=np.array(rows, dtype=np.int64),
        step="drop-conflicting",
        groups=clusters,
        details=sorted(details, key=lambda one: one["row"]),
    )


def _equal_rows(subject: Subject) -> Iterator[tuple[list[int], list[Target]]]:
    """Rows of equal text and their targets, for each text that occurs more than once."""
    groups, dataset = subject.groups, subject.dataset
    targets = dataset.targets or [()] * len(dataset)
    ends = np.cumsum(groups.sizes)
    for group in np.flatnonzero(groups.sizes > 1).tolist():
        places = np.sort(groups.rows[ends[group] - groups.sizes[group] : ends[group]])
        yield dataset.rows[places].tolist(), [targets[place] for place in places.tolist()]
