"""How likely each label is to be wrong, told from the labels themselves.

Where a judge disputes a label, is the label wrong, or the judge? A second judge who sees something
else answers it for the data as a whole: to right labels that the first judge disputes it agrees
nearly as often as to others, to wrong ones hardly ever. So the share of disputed labels that it
takes the side of tells the share that is wrong, as two views tell each other's error in
co-training (Blum & Mitchell 1998) and two raters in Dawid & Skene (1979). Here the first judge is
the encoder (linear model and nearest texts, their probabilities multiplied) and the second the
words. The share is fitted as a function of how much surer the first judge is of its own label than
of the given one, and Bayes' rule makes a probability of it and of what the words say of the row.

Where rows are few the linear model is fitted with several cuts and counts for more.

Numbers below were chosen on half of AG News with labels by people, and on TREC-6 with 0, 2 and 10 %
of labels changed; `docs/log.md` has what else was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks._judges import (
    by_model,
    by_neighbours,
    by_words,
    unit_length,
    word_features,
)

__all__ = ["FEW_ROWS", "SUSPECTED", "Votes", "chance_of_wrong", "probabilities_of_wrong"]

_MODEL_WEIGHT, _NEIGHBOURS_WEIGHT = 0.3, 0.5
FEW_ROWS = 1_000
_WEIGHTS_WHERE_FEW = 0.5, 0.3
"""Fifty neighbours are a good part of few rows, and many of them not near."""
_TIMES_WHERE_FEW = 4
_LEAST = 1e-5  # probability of the linear model
_NONE_NEAR = 0.02  # what the neighbours leave to labels that none of them has
SUSPECTED = 0.4
"""The probability of being wrong from which a label is shown to a person."""
_NOT_LEARNED = 0.5
_RIGHT_AND_DISPUTED = 0.8
"""How often words side with a right label that the encoder disputes, of how often they agree with
labels that it does not dispute. Measured on TREC-6 as it is: 0.6 to 0.9."""
_WRONG = 0.15
"""How often words side with a wrong label. They learn from labels that are wrong alike."""
_USUAL = (-3.0, 2.0)  # intercept, and logarithm of the slope, of the log-odds of a wrong label
_SPREAD = (1.0, 0.3)
_SURENESS = 3.0  # log-odds of the encoder are given in units of so many


@dataclass(frozen=True, slots=True)
class Votes:
    """What is told of each row, by judges who have not seen its label; each [n].

    Attributes:
        expected: int64, the label that the encoder expects.
        sureness: float64, its log-odds against the given label; 0 where it is the expected one.
        words: int64, the label that the words expect.
    """

    expected: NDArray[np.int64]
    sureness: NDArray[np.float64]
    words: NDArray[np.int64]


def probabilities_of_wrong(
    features: NDArray[np.float32],
    texts: Sequence[str],
    targets: NDArray[np.int64],
    num_labels: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probability that each label is wrong, and what the encoder takes each label for.

    Args:
        features: float32 [n, width], what the encoder makes of the texts.
        texts: n texts, for their words.
        targets: int64 [n], codes of the labels given, each at least five times.

    Returns:
        float64 [n], 0 where the given label is expected; float64 [n, labels], each row sums to 1.
    """
    believed = _by_encoder(unit_length(features), targets, num_labels)
    expected = believed.argmax(axis=1)
    rows = np.arange(len(targets))
    sureness = np.log(believed[rows, expected]) - np.log(believed[rows, targets])
    words = word_features(texts)
    wrong = np.zeros(len(targets))
    if words is None:  # nothing that a second judge could look at
        return wrong, believed
    for _ in range(2):  # words that have learned from wrong labels take their side
        told = by_words(words, targets, num_labels, wrong > _NOT_LEARNED)
        wrong = chance_of_wrong(Votes(expected, sureness, told), targets)
    return wrong, believed


def chance_of_wrong(votes: Votes, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability that each label is wrong; float64 [n], 0 where nobody disputes it."""
    disputed = votes.expected != targets
    sides = votes.words == targets
    against = votes.words == votes.expected
    if disputed.all() or not disputed.any():
        return np.zeros(len(targets))
    if_right = _RIGHT_AND_DISPUTED * max(float(sides[~disputed].mean()), 2 * _WRONG)
    told = disputed & (sides | against)  # a third label speaks for neither
    before = _fitted(votes.sureness, told, sides, if_right)
    of_wrong = np.where(sides, _WRONG, np.where(against, 1 - _WRONG, 1.0)) * before
    of_right = np.where(sides, if_right, np.where(against, 1 - if_right, 1.0)) * (1 - before)
    return np.where(disputed, of_wrong / (of_wrong + of_right), 0.0)


def _by_encoder(
    unit: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int
) -> NDArray[np.float64]:
    """What the encoder's two judges take each row for, together; [n, labels]."""
    from scipy.special import softmax

    is_few = len(targets) < FEW_ROWS
    told = by_model(unit, targets, num_labels, _TIMES_WHERE_FEW if is_few else 1)
    model = np.maximum(told, _LEAST)
    near = by_neighbours(unit, targets, num_labels)
    near = (near + _NONE_NEAR / num_labels) / (1 + _NONE_NEAR)
    of_model, of_near = _WEIGHTS_WHERE_FEW if is_few else (_MODEL_WEIGHT, _NEIGHBOURS_WEIGHT)
    both = of_model * np.log(model) + of_near * np.log(near)
    return np.asarray(softmax(both, axis=1))


def _fitted(
    sureness: NDArray[np.float64],
    told: NDArray[np.bool_],
    sides: NDArray[np.bool_],
    if_right: float,
) -> NDArray[np.float64]:
    """The probability of a wrong label by sureness alone, as the sides that words take tell it.

    Few rows say little; then it stays near what is usual.
    """
    from scipy.optimize import minimize

    known, taken = sureness[told], sides[told]

    def loss(line: NDArray[np.float64]) -> float:
        before = _logistic(line, known)
        siding = if_right * (1 - before) + _WRONG * before
        unusual = (((line - np.array(_USUAL)) / np.array(_SPREAD)) ** 2).sum() / 2
        return float(unusual - np.log(np.where(taken, siding, 1 - siding)).sum())

    return _logistic(minimize(loss, np.array(_USUAL), method="L-BFGS-B").x, sureness)


def _logistic(line: NDArray[np.float64], sureness: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import expit

    return np.asarray(expit(line[0] + np.exp(line[1]) * sureness / _SURENESS))
