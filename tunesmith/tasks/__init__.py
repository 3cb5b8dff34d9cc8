"""One file a task: what a row means, its labels, how targets are encoded and outputs decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.errors import BundleError
from tunesmith.tasks._assurance import (
    Conformal,
    ConformalScore,
    Scope,
    ScopeScore,
    Selective,
    conformity,
    label_sets,
    scope_scores,
)
from tunesmith.tasks._calibration import Calibration, CalibrationMethod, sigmoid, softmax
from tunesmith.tasks._labels import label_text
from tunesmith.tasks._odds import log_odds
from tunesmith.tasks._task import Field, Head, Modality, Objective, Task
from tunesmith.tasks._wanted import Wanted
from tunesmith.tasks.multi_label import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification

__all__ = [
    "Calibration",
    "CalibrationMethod",
    "Conformal",
    "ConformalScore",
    "Field",
    "Head",
    "Modality",
    "MultiLabelClassification",
    "Objective",
    "Scope",
    "ScopeScore",
    "Selective",
    "Task",
    "TextClassification",
    "Wanted",
    "conformity",
    "from_dict",
    "label_sets",
    "label_text",
    "log_odds",
    "scope_scores",
    "sigmoid",
    "softmax",
]

_FITTED: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "calibration": Calibration.from_dict,
    "selective": Selective.from_dict,
    "conformal": Conformal.from_dict,
    "scope": Scope.from_dict,
}
"""What is fitted on validation rows and stored with a task: its name → what reads it."""


def from_dict(saved: Mapping[str, Any]) -> Task:
    """The task that `Task.as_dict` described.

    Raises:
        BundleError: the description is of no task known here.
    """
    try:
        fields = tuple(Field(entry["name"], entry["modality"]) for entry in saved["fields"])
        labels = tuple(saved["labels"])
        fitted: dict[str, Any] = {
            name: read(saved[name]) for name, read in _FITTED.items() if name in saved
        }
        if saved["name"] == "text-classification":
            return TextClassification(fields, labels, **fitted)
        if saved["name"] == "multi-label-classification":
            thresholds = tuple(saved["thresholds"])
            return MultiLabelClassification(fields, labels, thresholds, **fitted)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the task's description is incomplete: {error}") from error
    raise BundleError(f"unknown task {saved['name']!r}", mend="upgrade Tunesmith")
