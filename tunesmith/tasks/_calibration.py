"""From a model's scores to probabilities that hold: a fitted map, stored with the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import BundleError

__all__ = ["Calibration", "CalibrationMethod", "sigmoid", "softmax"]

CalibrationMethod: TypeAlias = Literal["temperature", "vector", "isotonic", "platt"]


def softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Of each row, float64 [n, labels]."""
    scores = scores.astype(np.float64)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def sigmoid(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Of each score, in their shape."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scores.astype(np.float64))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """A map from scores to probabilities, fitted on validation rows.

    Scores are multiplied by `scale` and moved by `shift`, and go through softmax or sigmoid:

    - temperature: one scale for all labels, 1 / T (Guo, Pleiss, Sun and Weinberger, "On calibration
      of modern neural networks", ICML 2017); the likeliest label stays the likeliest.
    - vector: a scale and a shift for each label (ibid.).
    - platt: the same for tasks with several labels, each by itself (Platt 1999).
    - isotonic: one scale for all; then each label's probability goes through a rising line of its
      own, and the row is made to sum to 1 (Zadrozny and Elkan, KDD 2002).

    Attributes:
        scale: one number, or one for each label.
        shift: none, or one number for each label.
        knots: isotonic: for each label the probabilities before, rising, and those after.
    """

    method: CalibrationMethod
    scale: tuple[float, ...]
    shift: tuple[float, ...] = ()
    knots: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()

    def scores(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Scaled and shifted, float64 [n, labels]."""
        moved = scores.astype(np.float64) * np.asarray(self.scale)
        return np.asarray(moved + np.asarray(self.shift)) if self.shift else moved

    def of_one(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities of labels of which each row has one, float64 [n, labels]."""
        probabilities = softmax(self.scores(scores))
        if not self.knots:
            return probabilities
        mapped = np.column_stack([
            np.interp(column, *knots)
            for column, knots in zip(probabilities.T, self.knots, strict=True)
        ])  # fmt: skip
        return np.asarray(mapped / mapped.sum(axis=1, keepdims=True))

    def of_many(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities of labels of which each row has any number, float64 [n, labels]."""
        return sigmoid(self.scores(scores))

    def as_dict(self) -> dict[str, Any]:
        """As JSON values; what is empty is left out."""
        values: dict[str, Any] = {"method": self.method, "scale": list(self.scale)}
        if self.shift:
            values["shift"] = list(self.shift)
        if self.knots:
            values["knots"] = [[list(before), list(after)] for before, after in self.knots]
        return values

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described.

        Raises:
            BundleError: the method is not known here.
            KeyError, TypeError, ValueError: the description is incomplete.
        """
        if saved["method"] not in get_args(CalibrationMethod):
            raise BundleError(f"unknown calibration {saved['method']!r}", mend="upgrade Tunesmith")
        return cls(
            method=saved["method"],
            scale=_floats(saved["scale"]),
            shift=_floats(saved.get("shift", ())),
            knots=tuple((_floats(a), _floats(b)) for a, b in saved.get("knots", ())),
        )


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
