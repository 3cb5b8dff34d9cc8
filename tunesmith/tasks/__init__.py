"""One file a task: what a row means, its labels, how targets are encoded and outputs decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.errors import BundleError
from tunesmith.tasks._labels import label_text
from tunesmith.tasks._odds import log_odds
from tunesmith.tasks._task import Field, Head, Modality, Objective, Task
from tunesmith.tasks.multi_label import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification

__all__ = [
    "Field",
    "Head",
    "Modality",
    "MultiLabelClassification",
    "Objective",
    "Task",
    "TextClassification",
    "from_dict",
    "label_text",
    "log_odds",
]


def from_dict(saved: Mapping[str, Any]) -> Task:
    """The task that `Task.as_dict` described.

    Raises:
        BundleError: the description is of no task known here.
    """
    try:
        fields = tuple(Field(entry["name"], entry["modality"]) for entry in saved["fields"])
        labels = tuple(saved["labels"])
        if saved["name"] == "text-classification":
            return TextClassification(fields, labels)
        if saved["name"] == "multi-label-classification":
            return MultiLabelClassification(fields, labels, tuple(saved["thresholds"]))
    except (KeyError, TypeError) as error:
        raise BundleError(f"the task's description is incomplete: {error}") from error
    raise BundleError(f"unknown task {saved['name']!r}", mend="upgrade Tunesmith")
