"""What a report says of a model beside its figures: one function a section, all from one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.config import EvaluationConfig
from tunesmith.evaluation import Section
from tunesmith.explanation import Explainer
from tunesmith.recipes._calibrate import calibration, conformal, selective
from tunesmith.recipes._errors import errors
from tunesmith.recipes._explanations import explanations
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._robustness import robustness
from tunesmith.recipes._scope import scope
from tunesmith.recipes._slices import fairness, slices, weak_slices
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Inputs, Outputs

__all__ = ["Examined", "examine"]


@dataclass(frozen=True, slots=True)
class Examined:
    """A model and the labelled rows that it is judged on.

    Attributes:
        task: with the decision rule that is shipped.
        dataset: the n rows, which the model has not seen.
        targets: as `task.encode` gives them, int64 [n] or float32 [n, labels].
        scores: the model's raw scores, float32 [n, labels].
        ask: the model's raw scores for other inputs, float32 [m, labels].
        known: the rows that the model was trained on, or None where they are not at hand.
        extra: further columns of the rows, by name, n values each, for slices and fairness.
        groups: int64 [n], rows of one group depend on each other; None where rows stand alone.
        confidence: the intervals' level.
        resamples: bootstrap samples.
        seed: of whatever is drawn.
        settings: what is to be looked into, and how far.
        explainer: explains the model by its gradients; None where there are none to be had, and
            words are left out instead.
    """

    task: Task
    dataset: Dataset
    targets: NDArray[Any]
    scores: NDArray[np.float32]
    ask: Callable[[Sequence[Inputs]], NDArray[np.float32]]
    known: Dataset | None = None
    extra: dict[str, Sequence[object]] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0
    settings: EvaluationConfig = field(default_factory=EvaluationConfig)
    explainer: Callable[[], Explainer] | None = None

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """float64 [n, labels], as they are shipped."""
        return np.asarray(self.task.probabilities(Outputs(scores=self.scores)), dtype=np.float64)


Examination: TypeAlias = Callable[[Examined, Listener], Section | None]

EXAMINATIONS: tuple[Examination, ...] = (
    *(calibration, selective, conformal, scope),
    *(slices, weak_slices, fairness, robustness, errors, explanations),
)
"""In the order of the report; one that has nothing to say gives None."""


def examine(subject: Examined, listener: Listener) -> tuple[Section, ...]:
    """The report's sections."""
    made = (examination(subject, listener) for examination in EXAMINATIONS)
    return tuple(section for section in made if section is not None)
