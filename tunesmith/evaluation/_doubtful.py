"""Which mistakes may be the label's rather than the model's.

A row is marked where two judges who see different things agree against its label: the model, which
is at least as sure of another label as it is of that label's own rows on average (confident
learning: Northcutt, Jiang and Chuang, JAIR 70, 2021), and the labels of the training rows that
share most words with the text. Neither has seen the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation._clusters import word_features

__all__ = ["Doubt", "doubtful_labels"]

_NEIGHBOURS = 10
_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Doubt:
    """A test row whose label is likely wrong.

    Attributes:
        place: of the row among the n test rows.
        suggested: the place of the label that both judges expect.
        votes: how much of the nearest training rows' likeness to it is that of rows with that
            label, 0 to 1.
    """

    place: int
    suggested: int
    votes: float


def doubtful_labels(
    targets: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    texts: Sequence[str],
    known_texts: Sequence[str],
    known_targets: NDArray[np.int64],
) -> list[Doubt]:
    """The rows whose labels are likely wrong, those first of which the model is surest.

    Args:
        targets: int64 [n], the labels of the test rows, one a row.
        probabilities: float64 [n, labels].
        texts: n texts.
        known_texts, known_targets: the training rows, m texts and int64 [m].
    """
    expected, places = _confident(targets, probabilities)
    if not len(places):
        return []
    found = word_features([*(texts[place] for place in places), *known_texts])
    if found is None:
        return []
    known = found[0][len(places) :].T.tocsc()
    doubts: list[Doubt] = []
    for start in range(0, len(places), _ROWS_AT_ONCE):
        own = places[start : start + _ROWS_AT_ONCE]
        likeness = (found[0][start : start + len(own)] @ known).toarray()
        near = np.argsort(-likeness, axis=1, kind="stable")[:, :_NEIGHBOURS]
        votes = np.take_along_axis(likeness, near, axis=1).astype(np.float64)
        for_expected = (votes * (known_targets[near] == expected[own][:, None])).sum(axis=1)
        for_given = (votes * (known_targets[near] == targets[own][:, None])).sum(axis=1)
        doubts += [
            Doubt(int(own[i]), int(expected[own[i]]), float(for_expected[i] / votes[i].sum()))
            for i in np.flatnonzero(for_expected > for_given)
        ]
    return sorted(doubts, key=lambda one: -float(probabilities[one.place, one.suggested]))


def _confident(
    targets: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The label that the model takes each row for, and the places where it is sure of another.

    Sure is what the mean of the label's own rows is: labels that are hard for the model have a
    lower bar.
    """
    num_labels = probabilities.shape[1]
    sums = np.bincount(
        targets, weights=probabilities[np.arange(len(targets)), targets], minlength=num_labels
    )
    counts = np.bincount(targets, minlength=num_labels)
    bars = np.divide(sums, counts, out=np.ones(num_labels), where=counts > 0)
    expected = probabilities.argmax(axis=1)
    sure = probabilities[np.arange(len(targets)), expected] >= bars[expected]
    return expected, np.flatnonzero(sure & (expected != targets))
