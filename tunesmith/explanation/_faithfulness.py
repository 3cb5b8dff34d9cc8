"""Whether the words that an explanation names are those that the model answers by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.explanation._attribution import Method, Predict, predict_each
from tunesmith.explanation._reading import Reading
from tunesmith.types import Estimate, Inputs

__all__ = ["BINS", "Faithfulness", "measure_faithfulness"]

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of the words that are taken for the most important, as in ERASER."""

_RESAMPLES = 1000
_ROWS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Comprehensiveness and sufficiency of a method, beside those of words drawn by lot.

    Both are means over `BINS` and rows (DeYoung et al., ERASER, ACL 2020), with 95 % intervals
    over rows.

    Attributes:
        comprehensiveness: what the label's probability loses without the most important words; the
            more the better.
        sufficiency: what it loses when only they are left; the less the better.
        random_comprehensiveness, random_sufficiency: the same for words in random order.
        comprehensiveness_gain, sufficiency_gain: how much better the method does than chance, row
            by row; above 0 is better for both.
        num_rows: rows of two words and more, on which this was measured.
        draws: random orders for each row.
    """

    method: Method
    comprehensiveness: Estimate
    sufficiency: Estimate
    random_comprehensiveness: Estimate
    random_sufficiency: Estimate
    comprehensiveness_gain: Estimate
    sufficiency_gain: Estimate
    num_rows: int
    draws: int

    def sentence(self) -> str:
        """What the figures say, for a reader."""
        gain = self.comprehensiveness_gain
        if gain.low > 0 and self.sufficiency_gain.low > 0:
            return "these explanations name words that the model answers by"
        if gain.low > 0:
            return (
                "without the words that these explanations name the model answers otherwise; "
                "these words alone are not clearly enough for its answer"
            )
        return (
            "these explanations are not clearly better than words drawn by lot: do not rely on them"
        )

    def figures(self) -> dict[str, Estimate]:
        """All estimates by name."""
        return {
            name: getattr(self, name)
            for name in (
                "comprehensiveness", "sufficiency", "random_comprehensiveness",
                "random_sufficiency", "comprehensiveness_gain", "sufficiency_gain",
            )
        }  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        figures = {name: own.as_dict() for name, own in self.figures().items()}
        own = {"method": self.method, "num_rows": self.num_rows, "draws": self.draws}
        return {**own, "bins": list(BINS), **figures}


def measure_faithfulness(
    predict: Predict,
    readings: Sequence[Reading],
    labels: Sequence[int],
    attributions: Sequence[NDArray[np.float64]],
    *,
    method: Method,
    draws: int = 5,
    seed: int = 42,
) -> Faithfulness | None:
    """Measures n explanations; None where no example has two words or more.

    Args:
        predict: examples → probabilities, float64 [n, labels].
        labels: n places in the labels: what each explanation is of.
        attributions: of each example, float64 [words].
        draws: random orders for each example, to compare with.
    """
    generator = np.random.default_rng(seed)
    chosen = [place for place, reading in enumerate(readings) if len(reading.words) > 1]
    losses: list[NDArray[np.float64]] = []
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        places = chosen[start : start + _ROWS_AT_ONCE]
        groups = [
            _variants(readings[place], _orders(attributions[place], draws, generator))
            for place in places
        ]
        answers = predict_each(predict, groups)
        losses += [
            _losses(own[:, labels[place]], draws)
            for place, own in zip(places, answers, strict=True)
        ]
    if not losses:
        return None
    table = np.array(losses)  # [rows, method and random, comprehensiveness and sufficiency]
    gains = (table[:, 0] - table[:, 1]) * np.array([1.0, -1.0])
    own, drawn, better = (
        [_mean(column, seed) for column in columns.T]
        for columns in (table[:, 0], table[:, 1], gains)
    )
    return Faithfulness(
        method=method,
        comprehensiveness=own[0],
        sufficiency=own[1],
        random_comprehensiveness=drawn[0],
        random_sufficiency=drawn[1],
        comprehensiveness_gain=better[0],
        sufficiency_gain=better[1],
        num_rows=len(table),
        draws=draws,
    )


def _orders(
    attributions: NDArray[np.float64], draws: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """The words by what they add, the most first; then in random orders."""
    drawn = [generator.permutation(len(attributions)) for _ in range(draws)]
    return [np.argsort(-attributions, kind="stable"), *drawn]


def _variants(reading: Reading, orders: Sequence[NDArray[np.int64]]) -> list[Inputs]:
    """The example as it is; then for each order and bin without its first words, and only them."""
    variants: list[Inputs] = [reading.texts]
    for order in orders:
        for share in BINS:
            kept = np.ones(len(order), dtype=np.bool_)
            kept[order[: math.ceil(share * len(order))]] = False
            variants += [reading.keep(kept), reading.keep(~kept)]
    return variants


def _losses(probabilities: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """What the probability loses, means over bins, float64 [2, 2].

    The first row is the method's, the second the mean of the random orders; in the columns are
    comprehensiveness and sufficiency.
    """
    lost = probabilities[0] - probabilities[1:].reshape(1 + draws, len(BINS), 2)
    means = lost.mean(axis=1)
    return np.stack([means[0], means[1:].mean(axis=0)])


def _mean(values: NDArray[np.float64], seed: int) -> Estimate:
    """The mean with a 95 % percentile bootstrap over rows; of one row without an interval."""
    if len(values) < 2:
        return Estimate.alone(float(values.mean()))
    generator = np.random.default_rng(seed)
    rows = generator.integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), (0.025, 0.975))
    mean = float(values.mean())
    return Estimate(mean, min(float(low), mean), max(float(high), mean))
