"""Any number of labels for each text (or pair of texts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.tasks._assurance import Scope
from tunesmith.tasks._calibration import Calibration, sigmoid
from tunesmith.tasks._labels import label_indices, read_inputs
from tunesmith.tasks._task import Field, Head, Objective, fitted_as_dict
from tunesmith.tasks._wanted import Wanted, check_wanted
from tunesmith.types import Inputs, LabelsPrediction, Outputs, Prediction, Target

__all__ = ["MultiLabelClassification"]


@dataclass(frozen=True, slots=True)
class MultiLabelClassification:
    """Chooses every label whose probability reaches its threshold; minimises binary cross-entropy.

    Attributes:
        fields: the text columns read, one or two.
        labels: the labels in the order of the scores.
        thresholds: one probability for each label; 0.5 for all where empty.
        calibration: from scores to probabilities; sigmoid where None.
        scope: whether inputs are like the training data, where `decode` is asked for it.
    """

    fields: tuple[Field, ...]
    labels: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    calibration: Calibration | None = None
    scope: Scope | None = None

    @property
    def name(self) -> str:
        return "multi-label-classification"

    @property
    def head(self) -> Head:
        return Head("labels", len(self.labels))

    @property
    def objective(self) -> Objective:
        return "binary-cross-entropy"

    @property
    def default_metrics(self) -> tuple[str, ...]:
        return ("macro_f1", "micro_f1", "accuracy", "log_loss")

    def with_thresholds(self, thresholds: Sequence[float]) -> Self:
        """The same task with other thresholds, one for each label."""
        assert len(thresholds) == len(self.labels)
        return replace(self, thresholds=tuple(float(value) for value in thresholds))

    def read(self, item: object) -> Inputs:
        return read_inputs(self.fields, item)

    def encode(self, targets: Sequence[Target]) -> NDArray[Any]:
        encoded = np.zeros((len(targets), len(self.labels)), dtype=np.float32)
        for row, indices in enumerate(label_indices(self.labels, targets)):
            encoded[row, indices] = 1.0
        return encoded

    def probabilities(self, outputs: Outputs) -> NDArray[np.float64]:
        """Sigmoid of the scores, calibrated where the task has a calibration."""
        assert outputs.scores is not None
        if self.calibration is not None:
            return self.calibration.of_many(outputs.scores)
        return sigmoid(outputs.scores)

    def check(self, wanted: Wanted) -> None:
        check_wanted(wanted, None, None, self.scope, several=True)

    def decode(self, outputs: Outputs, wanted: Wanted | None = None) -> list[Prediction]:
        """The labels at or above their thresholds, the likeliest first."""
        probabilities = self.probabilities(outputs)
        thresholds = np.array(self.thresholds or (0.5,) * len(self.labels))
        predictions: list[Prediction] = []
        for row in probabilities:
            chosen = [int(i) for i in np.argsort(-row, kind="stable") if row[i] >= thresholds[i]]
            named = dict(zip(self.labels, row.tolist(), strict=True))
            predictions.append(LabelsPrediction(tuple(self.labels[i] for i in chosen), named))
        if not wanted:
            return predictions
        self.check(wanted)
        assert self.scope is not None
        assert outputs.scores is not None
        accepted = self.scope.accepts(outputs.scores, probabilities, several=True)
        pairs = zip(predictions, accepted, strict=True)
        return [replace(prediction, in_scope=bool(own)) for prediction, own in pairs]

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "fields": [{"name": f.name, "modality": f.modality} for f in self.fields],
            "labels": list(self.labels),
            "thresholds": list(self.thresholds),
            **fitted_as_dict(self),
        }
