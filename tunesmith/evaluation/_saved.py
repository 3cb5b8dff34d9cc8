"""Figures out of the JSON that they were saved as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.types import Estimate, LabelMetrics, Metrics

__all__ = ["metrics_from_dict"]


def metrics_from_dict(saved: Mapping[str, Any]) -> Metrics:
    """The value that `Metrics.as_dict` described."""
    apart = {"labels", "num_examples", "confidence", "notes"}
    labels = {label: LabelMetrics.from_dict(figures) for label, figures in saved["labels"].items()}
    return Metrics(
        values={
            name: Estimate.from_dict(value) for name, value in saved.items() if name not in apart
        },
        num_examples=saved["num_examples"],
        labels=labels,
        confidence=saved["confidence"],
        notes=tuple(saved.get("notes", ())),
    )
