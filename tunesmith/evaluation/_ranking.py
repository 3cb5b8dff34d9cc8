"""How well probabilities put rows in order (ROC-AUC, PR-AUC) and labels in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["Curve", "coverage_errors", "label_precisions", "misordered_pairs"]

CELLS_AT_ONCE = 4_000_000
"""Comparisons of one label with another held in memory at a time, where rows' labels are ranked."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One label against the rest, ready to be measured on many samples of its rows.

    Only the rows that have the label need sorting: their k different scores cut the others into
    bins, below, at and between them. On a sample, both areas follow from the weights of the bins,
    so a thousand samples cost a sparse product and no sorting (Efron and Tibshirani 1993 on
    weights; Fawcett, Pattern Recognition Letters 27, 2006, on ties).

    Attributes:
        having: [k, n], at which of the k scores, ascending, each row with the label lies.
        others: [2k + 1, n], in which bin each row without the label lies, the lowest first; bins
            with odd numbers are those at a score.
    """

    having: sparse.csr_array
    others: sparse.csr_array

    @classmethod
    def of(cls, truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> Self | None:
        """The curve of one label; None where all n rows have it, or none.

        Args:
            truth: bool [n], whether a row has the label.
            scores: float64 [n], how sure the model is that it does.
        """
        if truth.all() or not truth.any():
            return None
        own, rest = np.flatnonzero(truth), np.flatnonzero(~truth)
        levels, places = np.unique(scores[own], return_inverse=True)
        bins = np.searchsorted(levels, scores[rest], "left")
        bins += np.searchsorted(levels, scores[rest], "right")
        return cls(
            _membership(places, own, (len(levels), len(truth))),
            _membership(bins, rest, (2 * len(levels) + 1, len(truth))),
        )

    def areas(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """ROC-AUC and PR-AUC on samples of the rows; NaN for samples of which all or none have it.

        ROC-AUC is the chance that a row with the label gets a higher score than one without (of
        equals half; Hanley and McNeil 1982). PR-AUC is the average precision, the mean precision
        at each row with the label, which does not interpolate.

        Args:
            weights: [n, R], how often each row is in each sample.

        Returns:
            Two arrays, float64 [R].
        """
        having, others = self.having @ weights, self.others @ weights
        up_to = np.cumsum(others, axis=0)
        num_having, num_others = having.sum(axis=0), up_to[-1]
        below, below_or_at = up_to[0:-1:2], up_to[1::2]
        wins = (having * (below + below_or_at)).sum(axis=0) / 2
        found = np.cumsum(having[::-1], axis=0)[::-1]
        given = found + num_others - below
        precision = np.divide(found, given, out=np.zeros_like(found), where=given > 0)
        hits = (having * precision).sum(axis=0)
        known = (num_having > 0) & (num_others > 0)
        roc, pr = np.full(len(known), np.nan), np.full(len(known), np.nan)
        np.divide(wins, num_having * num_others, out=roc, where=known)
        np.divide(hits, num_having, out=pr, where=known)
        return roc, pr


def _membership(
    bins: NDArray[np.int64], rows: NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(rows)), (bins, rows)), shape=shape)


def label_precisions(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's label ranking average precision, float64 [n].

    For each label that the row has: of the labels ranked as high or higher, the share that the row
    has. 1 where it has all labels, or none (Tsoumakas, Katakis and Vlahavas, "Mining multi-label
    data", 2010).

    Args:
        truth: bool [n, labels].
        scores: float64 [n, labels].
    """
    found = np.ones(len(truth))
    for part, own, as_high in _ranked(truth, scores):
        counts = own.sum(axis=1)
        num_above = as_high.sum(axis=2)
        num_own_above = (as_high & own[:, None, :]).sum(axis=2)
        sums = np.where(own, num_own_above / num_above, 0.0).sum(axis=1)
        mixed = (counts > 0) & (counts < own.shape[1])
        found[part] = np.divide(sums, counts, out=np.ones(len(own)), where=mixed)
    return found


def misordered_pairs(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's ranking loss, float64 [n].

    Of the pairs of a label that the row has and one that it has not, the share of which the second
    is ranked as high or higher. 0 where the row has all labels, or none.
    """
    found = np.zeros(len(truth))
    for part, own, as_high in _ranked(truth, scores):
        wrong = (as_high & own[:, :, None] & ~own[:, None, :]).sum(axis=(1, 2))
        counts = own.sum(axis=1)
        pairs = counts * (own.shape[1] - counts)
        found[part] = np.divide(wrong, pairs, out=np.zeros(len(own)), where=pairs > 0)
    return found


def coverage_errors(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far down the ranking each row's last label stands, float64 [n]; 0 without labels."""
    lowest = np.where(truth, scores, np.inf).min(axis=1, keepdims=True)
    return np.asarray((scores >= lowest).sum(axis=1), dtype=np.float64)


def _ranked(
    truth: NDArray[np.bool_], scores: NDArray[np.float64]
) -> Iterator[tuple[slice, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Some rows at a time: which, their labels, and at [row, i, j] whether j is as high as i."""
    num_rows, size = truth.shape
    step = max(1, CELLS_AT_ONCE // (size * size))
    for start in range(0, num_rows, step):
        part = slice(start, start + step)
        own = scores[part]
        yield part, truth[part], own[:, None, :] >= own[:, :, None]
