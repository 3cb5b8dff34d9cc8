"""How sure a figure is: score intervals for rates and areas, the bootstrap for everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import atanh, exp, inf, log, sqrt, tanh
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Estimate

__all__ = [
    "Scale",
    "area_interval",
    "area_variance",
    "between",
    "bootstrap_interval",
    "difference_interval",
    "effective_share",
    "mean_interval",
    "percentile_interval",
    "rare_label_factor",
    "rate_estimate",
    "wider",
    "wilson_f1",
    "wilson_rate",
]

Scale: TypeAlias = Literal["share", "correlation", "loss"]
"""What a figure can be: within 0 and 1, within -1 and 1, or 0 and above."""


@dataclass(frozen=True, slots=True)
class _Transform:
    """Between what ends a figure lies, where it is taken to, how steeply, and back."""

    low: float
    high: float
    there: Callable[[float], float]
    slope: Callable[[float], float]
    back: Callable[[float], float]


_TRANSFORMS: dict[str, _Transform] = {
    "share": _Transform(
        0.0,
        1.0,
        lambda p: log(p / (1 - p)),
        lambda p: 1 / (p * (1 - p)),
        lambda x: 0.5 * (1 + tanh(x / 2)),
    ),
    "correlation": _Transform(-1.0, 1.0, atanh, lambda r: 1 / (1 - r * r), tanh),
    "loss": _Transform(0.0, inf, log, lambda loss: 1 / loss, lambda x: exp(min(x, 700.0))),
}
_EDGE = 1e-9


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


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
    if trials <= 0:
        return Estimate(0.0, 0.0, 1.0)
    z = _z(confidence)
    rate = hits / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Rounding must not push an end past the rate itself: at 0 and 1 they coincide.
    return Estimate(rate, min(low, rate), max(high, rate))


def rate_estimate(hits: float, trials: float, confidence: float) -> Estimate:
    """The same for readers: from one trial no interval is claimed, and from none there is none."""
    found = wilson_rate(hits, trials, confidence)
    return found if trials > 1 + _EDGE else Estimate.alone(found.value)


def wilson_f1(
    hits: float, support: float, predicted: float, confidence: float, share: float = 1.0
) -> Estimate:
    """A label's F1 and its interval, by way of the Jaccard index.

    Of the `support + predicted - hits` rows that have the label or are given it, `hits` are right.
    That is a rate, J, with Wilson's interval; and F1 = 2J / (1 + J) rises with J, so the ends map
    straight across.

    Args:
        share: as `effective_share` gives it.
    """
    jaccard = rate_estimate(share * hits, share * (support + predicted - hits), confidence)

    def f1(rate: float) -> float:
        return 2 * rate / (1 + rate)

    if not jaccard.has_interval:
        return Estimate.alone(f1(jaccard.value))
    return Estimate(f1(jaccard.value), f1(jaccard.low), f1(jaccard.high))


def effective_share(variance: float, samples: NDArray[np.float64], floor: float) -> float:
    """How many independent rows a dependent one is worth: the inverse of the design effect.

    A rate over grouped rows gets Wilson's interval for as many rows as would have its variance
    (Kish, Survey Sampling, 1965; Korn and Graubard, Survey Methodology 24, 1998).

    Args:
        variance: of the figure, were the rows independent.
        samples: the figure on samples of whole groups.
        floor: the share that groups are of the rows: one group counts as one row at least.
    """
    known = samples[np.isfinite(samples)]
    found = float(known.var()) if len(known) else 0.0
    if found <= 0 or variance <= 0:
        return floor
    return min(1.0, max(floor, variance / found))


def area_variance(area: float, having: float, others: float) -> float:
    """The variance of a ROC-AUC (Hanley and McNeil 1982, as Newcombe 2006 balances it).

    Args:
        having, others: rows with the label, and without it.
    """
    pairs = (having + others) / 2 - 1
    spread = (1 - area) / (2 - area) + area / (1 + area)
    return area * (1 - area) * (1 + pairs * spread) / (having * others)


def area_interval(area: float, having: float, others: float, confidence: float) -> Estimate:
    """A ROC-AUC and a score interval for it, which is to areas what Wilson's is to rates.

    Method 5 of Newcombe, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic, part 2", Statistics in Medicine 25 (2006): the areas that lie no further
    from the one found than their own standard error allows. It keeps its width where a few rows
    with the label all rank above the rest, of which the bootstrap says that nothing is unsure.

    Args:
        having, others: rows with the label, and without it; may be effective numbers.
    """
    z = _z(confidence)

    def inside(candidate: float) -> bool:
        return abs(candidate - area) <= z * sqrt(area_variance(candidate, having, others))

    def end(reached: float, away: float) -> float:
        for _ in range(40):
            middle = (reached + away) / 2
            reached, away = (middle, away) if inside(middle) else (reached, middle)
        return reached

    return Estimate(area, end(area, 0.0), end(area, 1.0))


def bootstrap_interval(
    value: float,
    samples: NDArray[np.float64],
    confidence: float,
    scale: Scale,
    *,
    factor: float = 1.0,
    correct_bias: bool = True,
) -> Estimate | None:
    """A normal interval on the figure's own scale, with the bootstrap's bias and standard error.

    Shares are taken to their log odds, correlations to Fisher's z, losses to logarithms: there an
    interval keeps within what the figure can be, and leans the right way. Samples hold fewer
    different rows than the data, so figures over rare labels come out lower on them; the figure
    itself is off by about as much from the truth, in the same direction, which is taken back
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 10 and 13). Percentiles
    would lean the wrong way twice: of 300 simulated sets with 77 labels they held the true
    macro-F1 in 75 %.

    Args:
        samples: the figure on each sample; those that are not finite are passed over.
        factor: what the standard error is multiplied by; see `rare_label_factor`.
        correct_bias: not for figures that are means over rows, which have none.

    Returns:
        None where the samples do not differ: they say nothing then.
    """
    transform = _TRANSFORMS[scale]
    lowest, highest = transform.low + _EDGE, transform.high - _EDGE
    known = samples[np.isfinite(samples)]
    error = float(known.std(ddof=1)) * factor if len(known) > 1 else 0.0
    if error <= _EDGE or not lowest < value < highest:
        return None
    bias = float(known.mean()) - value if correct_bias else 0.0
    centre = min(max(value - bias, lowest), highest)
    middle = transform.there(centre)
    reach = _z(confidence) * error * transform.slope(centre)
    low, high = transform.back(middle - reach), transform.back(middle + reach)
    return Estimate(value, min(low, value), max(high, value))


def percentile_interval(value: float, samples: NDArray[np.float64], confidence: float) -> Estimate:
    """The middle `confidence` share of the samples, widened where needed to hold the value.

    For figures that have no scale of their own and are hardly biased, such as mean sizes of sets.
    Samples that do not differ say nothing of how sure it is: there is no interval then.
    """
    if np.ptp(samples) <= _EDGE:
        return Estimate.alone(value)
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value))


def difference_interval(
    value: float, samples: NDArray[np.float64], confidence: float
) -> Estimate | None:
    """A difference of two figures: normal, with the bootstrap's bias and standard error.

    None where the samples do not differ.
    """
    known = samples[np.isfinite(samples)]
    error = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    if error <= _EDGE:
        return None
    centre = 2 * value - float(known.mean())
    reach = _z(confidence) * error
    return Estimate(value, min(centre - reach, value), max(centre + reach, value))


def rare_label_factor(samples: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """By how much the bootstrap understates the standard error of a mean over labels.

    The variance of a label's figure over m rows comes out (m - 1) / m too small, which nobody
    notices but in labels with a handful of rows.

    Args:
        samples: [labels, R], each label's figure on each sample.
        counts: [labels], rows that each figure is over.
    """
    kept = counts > 0
    variances = np.nan_to_num(np.nanvar(samples[kept], axis=1)) if kept.any() else np.zeros(0)
    if not variances.sum():
        return 1.0
    rows = np.maximum(counts[kept], 1.5)
    return float(sqrt((variances * rows / (rows - 1)).sum() / variances.sum()))


def mean_interval(
    value: float,
    samples: NDArray[np.float64],
    labels: list[Estimate],
    label_samples: NDArray[np.float64],
) -> Estimate:
    """A mean over labels, out of the labels' own intervals, which keep their width.

    The distances of the ends are added up as standard errors are (MOVER: Zou and Donner,
    Statistics in Medicine 27, 2008), times what the bootstrap says that the labels' figures have
    in common.

    Args:
        value: the mean.
        samples: [R], the mean on each sample.
        labels: the labels' figures with their intervals.
        label_samples: [labels, R], each label's figure on each sample.
    """
    apart = float(np.nan_to_num(np.nanvar(label_samples, axis=1)).sum()) / len(labels) ** 2
    together = float(np.nanvar(samples))
    common = sqrt(min(2.0, together / apart)) if apart and together else 1.0
    # A label of a single row may be anything.
    below = sqrt(sum((own.value - max(0.0, own.low)) ** 2 for own in labels)) / len(labels)
    above = sqrt(sum((min(1.0, own.high) - own.value) ** 2 for own in labels)) / len(labels)
    return Estimate(
        value, max(0.0, value - common * below), min(1.0, max(value, value + common * above))
    )


def wider(first: Estimate, second: Estimate | None) -> Estimate:
    """The interval that holds both."""
    if second is None:
        return first
    return Estimate(first.value, min(first.low, second.low), max(first.high, second.high))


def between(first: Estimate, second: Estimate | None) -> Estimate:
    """The interval half-way between two.

    For areas: the score interval holds the truth in 96 to 99 of 100 simulated sets where it should
    in 95, the bootstrap in 75 (a handful of rows with the label) to 95; half-way, in 95 to 98.
    """
    if second is None:
        return first
    low, high = (first.low + second.low) / 2, (first.high + second.high) / 2
    return Estimate(first.value, min(low, first.value), max(high, first.value))
