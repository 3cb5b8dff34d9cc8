"""What each word adds to a label's score: one interface, three methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.explanation._reading import Reading
from tunesmith.types import Inputs

__all__ = ["METHODS", "Attribution", "Attributor", "Method", "Predict", "predict_each"]

Method: TypeAlias = Literal["integrated-gradients", "gradient-x-input", "leave-one-out"]

METHODS: tuple[Method, ...] = ("integrated-gradients", "gradient-x-input", "leave-one-out")
"""The names of the methods, the one that is taken first in the first place."""

Predict: TypeAlias = Callable[[Sequence[Inputs]], NDArray[np.float64]]
"""n examples → their probabilities, float64 [n, labels]."""

_TEXTS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each word of one example adds to one label's log-odds.

    Attributes:
        values: float64 [words].
        other: what tokens around the texts add; 0 for methods that leave them alone.
        score: the label's log-odds, ln(p / (1 - p)).
        baseline_score: the log-odds of what the words are compared with; None where that is not
            one example.
        steps: of the sum that integrated gradients takes for an integral.
        delta: convergence delta: the sum of all attributions less the difference of the scores,
            which is 0 for an exact integral.
        is_converged: whether `delta` is small.
    """

    values: NDArray[np.float64]
    score: float
    other: float = 0.0
    baseline_score: float | None = None
    steps: int | None = None
    delta: float | None = None
    is_converged: bool | None = None


class Attributor(Protocol):
    """A method of attribution."""

    @property
    def name(self) -> Method:
        """The method's name."""

    @property
    def baseline(self) -> str:
        """What a word is compared with, and why, as a clause for readers."""

    def attribute(self, readings: Sequence[Reading], labels: Sequence[int]) -> list[Attribution]:
        """Explains one label of each of n examples.

        Args:
            labels: n places in the task's labels.
        """


def predict_each(predict: Predict, groups: Sequence[Sequence[Inputs]]) -> list[NDArray[np.float64]]:
    """The probabilities of several groups of examples, each float64 [examples, labels].

    Equal examples are asked for once, and about a thousand at a time whatever the groups.
    """
    order: dict[Inputs, int] = {}
    for group in groups:
        for one in group:
            order.setdefault(one, len(order))
    asked = list(order)
    parts = [
        np.asarray(predict(asked[start : start + _TEXTS_AT_ONCE]), dtype=np.float64)
        for start in range(0, len(asked), _TEXTS_AT_ONCE)
    ]
    answers = np.concatenate(parts) if parts else np.zeros((0, 0))
    return [answers[[order[one] for one in group]] for group in groups]
