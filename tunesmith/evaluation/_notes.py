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
) -> tuple[str, ...]:
    """Few rows, labels with few rows, and figures that the rows do not define.

    Args:
        values, labels: the figures that there are.
    """
    notes: list[str] = []
    if num_rows < FEW_ROWS:
        accuracy = values["accuracy"]
        width = 100 * (accuracy.high - accuracy.low)
        count = f"{num_rows} test row" + ("" if num_rows == 1 else "s")
        notes.append(f"{count}: intervals are wide, accuracy's {width:.0f} points")
    few = [label for label, own in labels.items() if 0 < own.support < FEW_OF_A_LABEL]
    absent = [label for label, own in labels.items() if not own.support]
    if few:
        notes.append(
            f"{_counted(few)} fewer than {FEW_OF_A_LABEL} rows, and figures that say little: "
            f"{_named(few)}"
        )
    if absent:
        notes.append(f"{_counted(absent)} no row here: {_named(absent)}")
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


def _counted(labels: Sequence[str]) -> str:
    return "1 label has" if len(labels) == 1 else f"{len(labels)} labels have"


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(repr(label) for label in labels[:_MOST_NAMED])
    rest = len(labels) - _MOST_NAMED
    return f"{shown} and {rest:,} more" if rest > 0 else shown
