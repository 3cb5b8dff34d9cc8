"""What a reader of figures must know, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.evaluation._outcomes import is_multi_label
from tunesmith.tasks import Task
from tunesmith.types import Estimate, LabelMetrics

__all__ = ["FEW_OF_A_LABEL", "notes_of"]

FEW_ROWS = 100
"""Below, an accuracy of 90 % has an interval of 12 points and more."""

FEW_OF_A_LABEL = 5
"""Below, a label's recall has an interval of 50 points and more."""

_MOST_NAMED = 5


def notes_of(
    task: Task,
    values: Mapping[str, Estimate],
    labels: Mapping[str, LabelMetrics],
    num_rows: int,
    num_groups: int | None = None,
) -> tuple[str, ...]:
    """Few rows, labels with few rows, and figures that the rows do not define.

    Args:
        values, labels: the figures that there are.
        num_groups: groups that the rows come in; None where rows stand alone.
    """
    notes: list[str] = []
    accuracy = values["accuracy"]
    if num_rows == 1 or num_groups == 1:
        what = "1 test row" if num_rows == 1 else f"all {num_rows:,} test rows are of one group"
        notes.append(f"{what}: no interval can be had, so nothing is known of how sure a figure is")
    elif num_rows < FEW_ROWS:
        width = 100 * (accuracy.high - accuracy.low)
        notes.append(f"{num_rows} test rows: intervals are wide, accuracy's {width:.0f} points")
    few = [label for label, own in labels.items() if 0 < own.support < FEW_OF_A_LABEL]
    absent = [label for label, own in labels.items() if not own.support]
    if few:
        notes.append(
            f"{_counted(few)} fewer than {FEW_OF_A_LABEL} rows, and figures that say little: "
            f"{_named(few)}"
        )
    if absent:
        taken = [label for label in absent if is_multi_label(task) or labels[label].precision]
        notes.append(
            f"{_counted(absent)} no row here, and so no recall: {_named(absent)}"
            + _counts_as_zero("macro recall and F1 count", taken, absent)
        )
    never = [label for label, own in labels.items() if own.support and own.precision is None]
    if never:
        notes.append(
            f"{_counted(never)} no answer, and so no precision: {_named(never)}"
            + _counts_as_zero("macro precision counts", never, never)
        )
    return (*notes, *_undefined(task, values, labels))


def _undefined(
    task: Task, values: Mapping[str, Estimate], labels: Mapping[str, LabelMetrics]
) -> list[str]:
    notes: list[str] = []
    known = sum(own.roc_auc is not None for own in labels.values())
    if not known:
        notes.append(
            "ROC-AUC and PR-AUC are not defined: there is no label that some rows have and others "
            "have not"
        )
    elif known < len(labels):
        notes.append(
            f"ROC-AUC and PR-AUC are over the {known} of {len(labels)} labels that some rows have "
            "and others have not"
        )
    if not is_multi_label(task) and "mcc" not in values:
        only = next(label for label, own in labels.items() if own.support)
        notes.append(f"Matthews' correlation is not defined: all rows have the label {only!r}")
    return notes


def _counts_as_zero(averages: str, taken: Sequence[str], of: Sequence[str]) -> str:
    """What scikit-learn makes of them in its macro averages, and so do we."""
    if not taken:
        return ""
    all_of_them = "it" if len(of) == 1 else "them"
    which = all_of_them if len(taken) == len(of) else _named(taken)
    return f"; {averages} {which} as 0, as scikit-learn does"


def _counted(labels: Sequence[str]) -> str:
    return "1 label has" if len(labels) == 1 else f"{len(labels)} labels have"


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(repr(label) for label in labels[:_MOST_NAMED])
    rest = len(labels) - _MOST_NAMED
    return f"{shown} and {rest:,} more" if rest > 0 else shown
