"""What each word adds to a label's score: one interface, three methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.explanation._reading import Reading
from tunesmith.types import Inputs

__all__ = [
    "METHODS",
    "METHOD_NAMES",
    "Attribution",
    "Attributor",
    "Method",
    "Predict",
    "predict_each",
]

Method: TypeAlias = Literal["integrated-gradients", "gradient-x-input", "leave-one-out"]

METHODS: tuple[Method, ...] = ("integrated-gradients", "gradient-x-input", "leave-one-out")
"""The names of the methods, the one that is taken first in the first place."""

METHOD_NAMES: dict[Method, str] = {
    "integrated-gradients": "integrated gradients",
    "gradient-x-input": "gradient × input",
    "leave-one-out": "leave-one-out",
}
"""As a reader knows them."""

Predict: TypeAlias = Callable[[Sequence[Inputs]], NDArray[np.float64]]
"""n examples → their probabilities, float64 [n, labels]."""

_TEXTS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each word of one example adds to one label's log-odds.

    Attributes:
        values: float64 [words].
        other: what tokens around the texts add; 0 for methods that leave them alone.
        score: the label's log-odds, ln(p / (1 - p)), of the probability that is shown beside it.
        baseline_score: the log-odds of what the words are compared with; None where that is not
            one example.
        steps: of the sum that integrated gradients takes for an integral.
        delta: convergence delta: the sum of all attributions less the difference of the scores,
            which is 0 for an exact integral.
        is_converged: whether `delta` is small.
        is_before_isotonic: whether the log-odds are those before isotonic regression, which makes
            of them the probability that is shown.
    """

    values: NDArray[np.float64]
    score: float
    other: float = 0.0
    baseline_score: float | None = None
    steps: int | None = None
    delta: float | None = None
    is_converged: bool | None = None
    is_before_isotonic: bool = False

    @property
    def total(self) -> float:
        """What the words add up to."""
        return float(self.values.sum())

    @property
    def probability(self) -> float:
        """The probability that `score` is the log-odds of."""
        return 1 / (1 + math.exp(-max(self.score, -700.0)))


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
