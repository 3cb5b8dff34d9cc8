"""Figures out of the JSON that they were saved as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.types import Estimate, LabelMetrics, Metrics

__all__ = ["metrics_from_dict"]


def metrics_from_dict(saved: Mapping[str, Any]) -> Metrics:
    """The value that `Metrics.as_dict` described."""
    apart = {"labels", "num_examples", "confidence", "notes"}
    labels = {
        label: LabelMetrics(
            precision=Estimate(**figures["precision"]),
            recall=Estimate(**figures["recall"]),
            f1=Estimate(**figures["f1"]),
            support=figures["support"],
            roc_auc=_optional(figures.get("roc_auc")),
            pr_auc=_optional(figures.get("pr_auc")),
        )
        for label, figures in saved["labels"].items()
    }
    return Metrics(
        values={name: Estimate(**value) for name, value in saved.items() if name not in apart},
        num_examples=saved["num_examples"],
        labels=labels,
        confidence=saved["confidence"],
        notes=tuple(saved.get("notes", ())),
    )


def _optional(saved: Mapping[str, float] | None) -> Estimate | None:
    return None if saved is None else Estimate(**saved)
