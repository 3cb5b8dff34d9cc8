"""What figures of several folds come to together, and how sure that is.

Two trainings of a cross-validation share most of their rows, so their figures are not independent,
and the usual standard error is far too small. Here the corrected resampled t interval is taken
(Nadeau & Bengio 2003, "Inference for the Generalization Error", Machine Learning 52; for repeated
cross-validation Bouckaert & Frank 2004). Nested cross-validation (Bates, Hastie & Tibshirani 2023,
"Cross-Validation: What Does It Estimate and How Well Does It Do It?", JASA) estimates the same
without an assumption on how folds correlate, for hundreds of trainings in place of a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from tunesmith.types import Estimate

__all__ = ["Spread", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several folds.

    Attributes:
        mean: over the folds.
        deviation: standard deviation of the folds' figures (n - 1).
        low, high: the interval of the mean, corrected for the overlap of the folds.
    """

    mean: float
    deviation: float
    low: float
    high: float

    @property
    def estimate(self) -> Estimate:
        """The mean with its interval."""
        return Estimate(self.mean, self.low, self.high)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def spread(
    values: Sequence[float],
    *,
    ratio: float,
    confidence: float,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Spread:
    """Mean, deviation and corrected interval of one figure per training.

    The variance of the mean of J figures is taken as (1/J + ratio) times their variance, and not
    as 1/J times: Nadeau and Bengio's correction, with Student's t of J - 1 degrees of freedom.

    Args:
        values: J >= 2 figures.
        ratio: rows held out / rows learned from, as a mean over the trainings.
        confidence: the interval's level.
        bounds: what the figure can be; the interval does not pass them.
    """
    from scipy.special import stdtrit

    assert len(values) > 1, "one training has no spread"
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    quantile = float(stdtrit(len(values) - 1, 0.5 + confidence / 2))
    half = quantile * deviation * sqrt(1 / len(values) + ratio)
    low, high = max(bounds[0], mean - half), min(bounds[1], mean + half)
    # Rounding must not push an end past the mean itself.
    return Spread(mean, deviation, min(low, mean), max(high, mean))
