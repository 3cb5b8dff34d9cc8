"""How sure a figure is: Wilson's interval for a rate, the bootstrap for everything else."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.types import Estimate

__all__ = [
    "percentile_interval",
    "resampled_counts",
    "resampled_sums",
    "wilson_f1",
    "wilson_rate",
]

CELLS_AT_ONCE = 2_000_000
"""Row weights held in memory at a time; 16 MB as float64."""


def wilson_rate(hits: float, trials: float, confidence: float) -> Estimate:
    """A rate and Wilson's score interval for it.

    Unlike the bootstrap and the normal approximation it keeps its width when every trial hits or
    none does, and covers well from a handful of trials on (E. B. Wilson, JASA 22, 1927; advised
    over the alternatives by Brown, Cai and DasGupta, Statistical Science 16, 2001).

    Args:
        hits: how many of the trials came out well.
        trials: how many there were; with 0 the rate is 0 and nothing is known: (0, 1).
        confidence: the interval's level, between 0 and 1.
    """
    if trials == 0:
        return Estimate(0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = hits / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Rounding must not push an end past the rate itself: at 0 and 1 they coincide.
    return Estimate(rate, min(low, rate), max(high, rate))


def wilson_f1(hits: float, support: float, predicted: float, confidence: float) -> Estimate:
    """A label's F1 and its interval, by way of the Jaccard index.

    Of the `support + predicted - hits` rows that have the label or are given it, `hits` are right.
    That is a rate, J, with Wilson's interval; and F1 = 2J / (1 + J) rises with J, so the ends map
    straight across.
    """
    jaccard = wilson_rate(hits, support + predicted - hits, confidence)

    def f1(share: float) -> float:
        return 2 * share / (1 + share)

    return Estimate(f1(jaccard.value), f1(jaccard.low), f1(jaccard.high))


def resampled_sums(statistics: sparse.csr_array, resamples: int, seed: int) -> NDArray[np.float64]:
    """Column sums over bootstrap samples of the rows (Efron, Annals of Statistics 7, 1979).

    The same `seed` and number of rows draw the same samples, whatever the columns hold: two models
    judged on the same rows can therefore be compared sample by sample.

    Args:
        statistics: [n, k], what each row adds to k sums.
        resamples: how many samples of n rows are drawn, with replacement.
        seed: of the draws.

    Returns:
        float64 [resamples, k]. Needs about 50 MB besides, whatever n is.
    """
    num_rows, num_columns = statistics.shape
    by_column = statistics.T.tocsr()
    sums = np.empty((resamples, num_columns))
    start = 0
    for counts in resampled_counts(num_rows, resamples, seed):
        sums[start : start + len(counts)] = (by_column @ counts.T.astype(np.float64, order="C")).T
        start += len(counts)
    return sums


def resampled_counts(num_rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each row is in each bootstrap sample, int64 [some, rows] at a time.

    The same `seed` and number of rows give the same samples.
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, CELLS_AT_ONCE // num_rows)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(num_rows, size=(size, num_rows))
        drawn += num_rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * num_rows).reshape(size, num_rows)


def percentile_interval(value: float, samples: NDArray[np.float64], confidence: float) -> Estimate:
    """The middle `confidence` share of the samples, widened where needed to hold the value.

    Figures such as macro-F1 over rare labels are biased downwards in resamples, which hold fewer
    distinct rows; without the widening their interval could lie below the figure.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value))
