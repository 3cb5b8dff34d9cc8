"""From which probability on a multi-label task should give a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_thresholds"]

NUM_CANDIDATES = 199
TRUST_POSITIVES = 10.0
"""A label with this many positives moves half the way from the global threshold to its own."""

_FLOOR = 1e-4


def choose_thresholds(
    targets: NDArray[np.float32], probabilities: NDArray[np.float64]
) -> tuple[float, ...]:
    """One threshold for each label, for a high macro-F1 on rows like these.

    First one threshold for all labels: the candidate (quantiles of all probabilities, and 0.5)
    with the highest macro-F1. Then for each label the cut with the highest F1 of its own, which
    for a label with few positives mostly follows chance (Lipton, Elkan and Naryanaswamy, "Optimal
    thresholding of classifiers to maximize F1", ECML 2014, section 5). So each label's threshold
    is shrunk towards the global one on the logit scale, by the weight m / (m + 10) of its own cut
    for m positives, as an empirical Bayes estimate would be. A label without positives takes the
    global threshold.

    Choose on validation rows, never on test rows.

    Args:
        targets: [n, labels], 1 where a row has the label.
        probabilities: [n, labels].

    Returns:
        A probability for each label; a label is given at or above it.
    """
    truth = np.asarray(targets) > 0.5
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not truth.any():
        return (0.5,) * int(truth.shape[1])
    shared = _global_threshold(truth, probabilities)
    positives = truth.sum(axis=0)
    weights = positives / (positives + TRUST_POSITIVES)
    chosen: list[float] = []
    for place, weight in enumerate(weights):
        own = shared
        if weight:
            own = _own_threshold(truth[:, place], probabilities[:, place], shared)
        logit = weight * _logit(own) + (1 - weight) * _logit(shared)
        chosen.append(float(1 / (1 + np.exp(-logit))))
    return tuple(chosen)


def _global_threshold(truth: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """The candidate with the highest macro-F1; of equals the one nearest to 0.5."""
    levels = np.linspace(0, 1, NUM_CANDIDATES)
    # Most probabilities are those of absent labels; half the candidates come from present ones.
    pooled = [np.quantile(probabilities, levels), np.quantile(probabilities[truth], levels)]
    candidates = np.unique(np.concatenate([*pooled, np.array([0.5])]))
    support = truth.sum(axis=0)
    scores = np.empty(len(candidates))
    for place, candidate in enumerate(candidates):
        given = probabilities >= candidate
        below = support + given.sum(axis=0)
        hits = (given & truth).sum(axis=0)
        scores[place] = np.divide(2 * hits, below, out=np.zeros(len(below)), where=below > 0).mean()
    best = candidates[scores >= scores.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def _own_threshold(
    truth: NDArray[np.bool_], probabilities: NDArray[np.float64], shared: float
) -> float:
    """The cut with the label's highest F1, half-way between two rows; of equals the nearest."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + truth.sum())
    following = np.append(ranked[1:], 0.0)
    cuts = (ranked + following) / 2
    # No threshold parts rows of equal probability; one below the last row gives all the label.
    possible = ranked > following
    possible[-1] = True
    f1 = np.where(possible, f1, -1.0)
    best = cuts[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - shared).argmin()])


def _logit(probability: float) -> float:
    kept = min(max(probability, _FLOOR), 1 - _FLOOR)
    return float(np.log(kept / (1 - kept)))
