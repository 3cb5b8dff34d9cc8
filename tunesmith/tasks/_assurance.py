"""What validation rows showed of a model's answers: when to abstain, which labels to name, and
which inputs it was not made for. Fitted by `tunesmith.evaluation`, stored with the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import BundleError, ConfigError
from tunesmith.tasks._calibration import softmax

__all__ = [
    "Conformal",
    "ConformalScore",
    "Scope",
    "ScopeScore",
    "Selective",
    "conformity",
    "label_sets",
    "scope_scores",
]

ConformalScore: TypeAlias = Literal["lac", "raps"]
ScopeScore: TypeAlias = Literal["probability", "energy"]

_SAME = 1e-9
_RANK_PENALTY = 0.1  # without it sets of 77 labels hold 12 on average (docs/log.md)


@dataclass(frozen=True, slots=True)
class Selective:
    """From which probability on answers are right as often as is wanted.

    Attributes:
        thresholds: precision → the least probability of an answer that is given; precisions that
            the validation rows do not vouch for are left out.
        confidence: how sure each is: in so many of 100 such choices the precision holds.
        num_rows: validation rows that they were chosen on.
    """

    thresholds: tuple[tuple[float, float], ...]
    confidence: float
    num_rows: int

    def threshold(self, precision: float) -> float:
        """The least probability of an answer that is given.

        Raises:
            ConfigError: no threshold was found, or looked for, for this precision.
        """
        return float(_at_level("precision", precision, dict(self.thresholds)))

    def as_dict(self) -> dict[str, Any]:
        return {
            "thresholds": [list(pair) for pair in self.thresholds],
            "confidence": self.confidence,
            "num_rows": self.num_rows,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        return cls(
            tuple((float(level), float(value)) for level, value in saved["thresholds"]),
            float(saved["confidence"]),
            int(saved["num_rows"]),
        )


@dataclass(frozen=True, slots=True)
class Conformal:
    """How odd a label may look and still belong to the set: split conformal prediction.

    Attributes:
        score: lac: 1 - the label's probability (Sadinle, Lei and Wasserman, JASA 114, 2019); raps:
            the probabilities of the labels that are likelier, and its own, and 0.1 for each label
            that is likelier (Angelopoulos, Bates, Malik and Jordan, ICLR 2021, without the random
            part, so that equal inputs get equal sets).
        quantiles: coverage → the largest score that belongs to the set: one for all labels, or one
            for each.
        num_rows: validation rows that they were taken from.
    """

    score: ConformalScore
    quantiles: tuple[tuple[float, tuple[float, ...]], ...]
    num_rows: int

    def limits(self, coverage: float) -> NDArray[np.float64]:
        """The largest scores that belong to the set, float64 [1] or [labels].

        Raises:
            ConfigError: no quantile was stored for this coverage.
        """
        return np.asarray(_at_level("coverage", coverage, dict(self.quantiles)), dtype=np.float64)

    def sets(self, probabilities: NDArray[np.float64], coverage: float) -> NDArray[np.bool_]:
        """Which labels belong to each row's set, bool [n, labels]; no set is empty.

        Raises:
            ConfigError: see `limits`.
        """
        return label_sets(self.score, probabilities, self.limits(coverage))

    def as_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "quantiles": [[level, list(values)] for level, values in self.quantiles],
            "num_rows": self.num_rows,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        if saved["score"] not in get_args(ConformalScore):
            raise BundleError(f"unknown score {saved['score']!r}", mend="upgrade Tunesmith")
        levels = saved["quantiles"]
        return cls(
            saved["score"],
            tuple((float(level), tuple(float(v) for v in values)) for level, values in levels),
            int(saved["num_rows"]),
        )


def conformity(score: ConformalScore, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """How odd each label looks in each row, float64 [n, labels]; see `Conformal.score`."""
    if score == "lac":
        return np.asarray(1 - probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    summed += _RANK_PENALTY * np.arange(probabilities.shape[1])
    odd = np.empty_like(probabilities)
    np.put_along_axis(odd, order, summed, axis=1)
    return odd


def label_sets(
    score: ConformalScore, probabilities: NDArray[np.float64], limits: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The labels that look no odder than `limits`, bool [n, labels].

    The likeliest label always belongs to the set: a set without any says nothing, and one label
    more can only raise the coverage.
    """
    chosen = np.asarray(conformity(score, probabilities) <= limits)
    chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
    return chosen


@dataclass(frozen=True, slots=True)
class Scope:
    """Which inputs are like those that the model was made for.

    Attributes:
        score: probability: that of the likeliest label (Hendrycks and Gimpel, ICLR 2017); energy:
            the logarithm of the summed exponentials of the scores (Liu, Wang, Owens and Li, NeurIPS
            2020), for several labels the sum over the labels (Wang et al., NeurIPS 2021).
        threshold: inputs that score below are out of scope.
        accepted: the share of validation rows that are above.
    """

    score: ScopeScore
    threshold: float
    accepted: float

    def accepts(
        self, scores: NDArray[Any], probabilities: NDArray[np.float64], *, several: bool
    ) -> NDArray[np.bool_]:
        """Whether each row is in scope, bool [n]; see `scope_scores`."""
        own = scope_scores(self.score, scores, probabilities, several=several)
        return np.asarray(own >= self.threshold)

    def as_dict(self) -> dict[str, Any]:
        return {"score": self.score, "threshold": self.threshold, "accepted": self.accepted}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        if saved["score"] not in get_args(ScopeScore):
            raise BundleError(f"unknown score {saved['score']!r}", mend="upgrade Tunesmith")
        return cls(saved["score"], float(saved["threshold"]), float(saved["accepted"]))


def scope_scores(
    score: ScopeScore,
    scores: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    several: bool,
) -> NDArray[np.float64]:
    """How much each row is like the training data, float64 [n]; higher is more.

    Args:
        scores: the model's raw ones, [n, labels].
        probabilities: calibrated, [n, labels].
        several: whether a row may have several labels.
    """
    if score == "probability":
        return np.asarray(probabilities.max(axis=1))
    raw = scores.astype(np.float64)
    if several:
        return np.asarray(np.logaddexp(0, raw).sum(axis=1))
    highest = raw.max(axis=1)
    # The likeliest label's share of the summed exponentials is 1 / (their sum over its own).
    return np.asarray(highest - np.log(softmax(raw).max(axis=1)))


def _at_level(option: str, wanted: float, known: Mapping[float, Any]) -> Any:
    for level, value in known.items():
        if abs(level - wanted) < _SAME:
            return value
    levels = ", ".join(f"{level:g}" for level in known)
    raise ConfigError(
        f"{wanted:g} is no level that the model's validation rows vouch for",
        where=option,
        mend=f"ask for one of {levels}" if levels else "train with more validation rows",
    )
