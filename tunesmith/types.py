"""The values that travel between the layers: frozen, numpy only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Dataset",
    "Estimate",
    "Example",
    "Inputs",
    "LabelMetrics",
    "LabelPrediction",
    "LabelsPrediction",
    "Metrics",
    "Outputs",
    "Prediction",
    "Target",
    "Value",
]

Value: TypeAlias = str | bytes | NDArray[Any]
"""One input: a text, an encoded image or sound, or its samples."""

Inputs: TypeAlias = tuple[Value, ...]
"""The inputs of one example, in the order of the task's fields."""

Target: TypeAlias = str | tuple[str, ...]
"""What the model must answer: a label, a set of labels, or a text."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its inputs, the answer wanted (None where unknown), and its number in the file.

    Rows are numbered from 1; the header is not counted.
    """

    inputs: Inputs
    target: Target | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples, held by column so that the columns may lie in memory or on disk.

    Attributes:
        columns: one sequence of n values for each field of the task, in the task's order.
        targets: n targets, or None where the data has no labels.
        rows: int64 [n], each example's row in its source, numbered from 1.
        source: where the rows come from, as the user named it.
    """

    columns: tuple[Sequence[Value], ...]
    targets: Sequence[Target] | None
    rows: NDArray[np.int64]
    source: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return Example(
            tuple(column[index] for column in self.columns),
            None if self.targets is None else self.targets[index],
            int(self.rows[index]),
        )

    @property
    def inputs(self) -> list[Inputs]:
        """The n examples' inputs."""
        return list(zip(*self.columns, strict=True))

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Dataset:
        """The examples at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Dataset(
            columns=tuple([column[i] for i in chosen] for column in self.columns),
            targets=None if self.targets is None else [self.targets[i] for i in chosen],
            rows=self.rows[chosen],
            source=self.source,
        )


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model gives for n examples, before the task decodes it.

    Attributes:
        scores: float32 [n, labels], unnormalised (logits); None for tasks that answer in text.
        texts: n generated texts; None for tasks that score labels.
    """

    scores: NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """The answer of a single-label task. `probabilities` sums to 1."""

    label: str
    probability: float
    probabilities: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "probability": self.probability,
            "probabilities": dict(self.probabilities),
        }


@dataclass(frozen=True, slots=True)
class LabelsPrediction:
    """The answer of a multi-label task: every label whose probability reaches its threshold."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "probabilities": dict(self.probabilities)}


Prediction: TypeAlias = LabelPrediction | LabelsPrediction


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the interval that it is believed to lie in."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """Figures of one label; `support` counts the examples that truly have it."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "precision": self.precision.as_dict(),
            "recall": self.recall.as_dict(),
            "f1": self.f1.as_dict(),
            "support": self.support,
        }


@dataclass(frozen=True, slots=True)
class Metrics:
    """An evaluation's figures.

    Attributes:
        values: name → figure: accuracy, macro_f1, log_loss, and what else the task asks for.
        labels: label → its figures.
        num_examples: how many examples were judged.
        confidence: the intervals' level, 0.95 unless told otherwise.
    """

    values: Mapping[str, Estimate]
    num_examples: int
    labels: Mapping[str, LabelMetrics] = field(default_factory=dict)
    confidence: float = 0.95

    def __getitem__(self, name: str) -> Estimate:
        return self.values[name]

    def as_dict(self) -> dict[str, Any]:
        return {
            **{name: estimate.as_dict() for name, estimate in self.values.items()},
            "labels": {label: figures.as_dict() for label, figures in self.labels.items()},
            "num_examples": self.num_examples,
            "confidence": self.confidence,
        }
