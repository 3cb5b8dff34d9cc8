"""Time: whether the labels, or what is written, change from the first rows to the last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tunesmith.checks._finding import Finding
from tunesmith.checks._subject import Subject
from tunesmith.data import NO_TIME, read_times

__all__ = ["check_order", "check_time_drift"]

_FEWEST_ROWS = 100
_DRIFT = 0.15  # total variation distance
_CHANCE = 0.001


def check_order(subject: Subject) -> Iterator[Finding]:
    """Finds a file that is sorted by its labels."""
    codes = subject.targets.codes[subject.targets.codes >= 0]
    num_labels = len(np.unique(codes))
    if len(codes) < _FEWEST_ROWS or num_labels < 2:
        return
    num_runs = 1 + int((codes[1:] != codes[:-1]).sum())
    if num_runs == num_labels:
        yield Finding(
            check="sorted-by-label",
            severity="note",
            message=f"the rows are sorted by label: {num_labels:,} labels, one after the other",
            fix="nothing here, where rows are held out by their text and shuffled; but never take "
            "the first or the last rows of this file for a sample or a test",
            column=subject.target,
        )


def check_time_drift(subject: Subject) -> Iterator[Finding]:
    """Finds labels whose shares differ between the earliest and the latest third of the rows."""
    from scipy.stats import chi2_contingency

    if subject.target is None or subject.has_several_labels:
        return
    codes, names = subject.label_codes, list(subject.label_counts)
    for name in subject.other_columns:
        times = read_times(subject.table.arrow.column(name))
        if times is None:
            continue
        is_known = (times != NO_TIME) & (codes >= 0)
        if is_known.sum() < _FEWEST_ROWS:
            continue
        order = np.argsort(times[is_known], kind="stable")
        own = codes[is_known]
        third = len(order) // 3
        parts = [np.bincount(own[p], minlength=len(names)) for p in (order[:third], order[-third:])]
        table = np.stack(parts)[:, np.sum(parts, axis=0) > 0]
        distance = float(np.abs(table[0] - table[1]).sum()) / (2 * third)
        if table.shape[1] < 2 or distance < _DRIFT:
            continue
        if float(chi2_contingency(table).pvalue) > _CHANCE:
            continue
        change = (parts[1] - parts[0]) / third
        up, down = int(np.argmax(change)), int(np.argmin(change))
        yield Finding(
            check="time-drift",
            severity="note",
            message=f"the labels change with column {name!r}: from the earliest third of the rows "
            f"to the latest, {names[up]!r} goes from {parts[0][up] / third:.0%} to "
            f"{parts[1][up] / third:.0%}, {names[down]!r} from {parts[0][down] / third:.0%} to "
            f"{parts[1][down] / third:.0%}",
            fix="judge on the latest rows, given with --test: a random test part would look better "
            "than the future will",
            column=name,
        )
