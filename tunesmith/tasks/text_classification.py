"""One label for each text (or pair of texts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.tasks._labels import label_indices, read_inputs
from tunesmith.tasks._task import Field, Head, Objective
from tunesmith.types import Inputs, LabelPrediction, Outputs, Prediction, Target

__all__ = ["TextClassification"]


@dataclass(frozen=True, slots=True)
class TextClassification:
    """Chooses one of `labels`; minimises cross-entropy.

    Attributes:
        fields: the text columns read, one or two.
        labels: the labels in the order of the scores.
    """

    fields: tuple[Field, ...]
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        return "text-classification"

    @property
    def head(self) -> Head:
        return Head("labels", len(self.labels))

    @property
    def objective(self) -> Objective:
        return "cross-entropy"

    @property
    def default_metrics(self) -> tuple[str, ...]:
        return ("accuracy", "macro_f1", "log_loss")

    def read(self, item: object) -> Inputs:
        return read_inputs(self.fields, item)

    def encode(self, targets: Sequence[Target]) -> NDArray[Any]:
        indices = label_indices(self.labels, targets)
        return np.array([index[0] for index in indices], dtype=np.int64)

    def probabilities(self, outputs: Outputs) -> NDArray[np.float64]:
        """Softmax of the scores."""
        assert outputs.scores is not None
        scores = outputs.scores.astype(np.float64)
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def decode(self, outputs: Outputs) -> list[Prediction]:
        """The likeliest label of each row; of equals the first."""
        predictions: list[Prediction] = []
        for row in self.probabilities(outputs):
            best = int(row.argmax())
            named = dict(zip(self.labels, row.tolist(), strict=True))
            predictions.append(LabelPrediction(self.labels[best], float(row[best]), named))
        return predictions

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "fields": [{"name": f.name, "modality": f.modality} for f in self.fields],
            "labels": list(self.labels),
        }
