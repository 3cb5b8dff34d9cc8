"""One label for each text (or pair of texts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.tasks._assurance import Conformal, Scope, Selective
from tunesmith.tasks._calibration import Calibration, softmax
from tunesmith.tasks._labels import label_indices, read_inputs
from tunesmith.tasks._task import Field, Head, Objective, fitted_as_dict
from tunesmith.tasks._wanted import Wanted, check_wanted
from tunesmith.types import Inputs, LabelPrediction, Outputs, Prediction, Target

__all__ = ["TextClassification"]


@dataclass(frozen=True, slots=True)
class TextClassification:
    """Chooses one of `labels`; minimises cross-entropy.

    Attributes:
        fields: the text columns read, one or two.
        labels: the labels in the order of the scores.
        calibration: from scores to probabilities; softmax where None.
        selective, conformal, scope: what else `decode` can be asked for; see `Wanted`.
    """

    fields: tuple[Field, ...]
    labels: tuple[str, ...]
    calibration: Calibration | None = None
    selective: Selective | None = None
    conformal: Conformal | None = None
    scope: Scope | None = None

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
        """Softmax of the scores, calibrated where the task has a calibration."""
        assert outputs.scores is not None
        if self.calibration is not None:
            return self.calibration.of_one(outputs.scores)
        return softmax(outputs.scores)

    def check(self, wanted: Wanted) -> None:
        check_wanted(wanted, self.selective, self.conformal, self.scope, several=False)

    def decode(self, outputs: Outputs, wanted: Wanted | None = None) -> list[Prediction]:
        """The likeliest label of each row; of equals the first."""
        probabilities = self.probabilities(outputs)
        predictions: list[Prediction] = []
        for row in probabilities:
            best = int(row.argmax())
            named = dict(zip(self.labels, row.tolist(), strict=True))
            predictions.append(LabelPrediction(self.labels[best], float(row[best]), named))
        return self._assured(predictions, outputs, probabilities, wanted) if wanted else predictions

    def _assured(
        self,
        predictions: list[Prediction],
        outputs: Outputs,
        probabilities: NDArray[np.float64],
        wanted: Wanted,
    ) -> list[Prediction]:
        """The same predictions, with what is wanted beside the label."""
        self.check(wanted)
        added: list[dict[str, Any]] = [{} for _ in predictions]
        least = wanted.abstain_below
        if wanted.precision is not None and self.selective is not None:
            least = self.selective.threshold(wanted.precision)
        if least is not None:
            for entry, highest in zip(added, probabilities.max(axis=1), strict=True):
                entry["abstained"] = bool(highest < least)
        if wanted.coverage is not None and self.conformal is not None:
            sets = self.conformal.sets(probabilities, wanted.coverage)
            for entry, row, own in zip(added, probabilities, sets, strict=True):
                ranked = np.argsort(-row, kind="stable")
                entry["label_set"] = tuple(self.labels[i] for i in ranked if own[i])
        if wanted.scope and self.scope is not None:
            assert outputs.scores is not None
            accepted = self.scope.accepts(outputs.scores, probabilities, several=False)
            for entry, own in zip(added, accepted, strict=True):
                entry["in_scope"] = bool(own)
        pairs = zip(predictions, added, strict=True)
        return [replace(prediction, **entry) for prediction, entry in pairs]

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "fields": [{"name": f.name, "modality": f.modality} for f in self.fields],
            "labels": list(self.labels),
            **fitted_as_dict(self),
        }
