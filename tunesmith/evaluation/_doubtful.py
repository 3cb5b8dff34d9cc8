"""Which mistakes may be the label's rather than the model's.

A row is marked where two judges who see different things agree against its label: the model, which
is at least as sure of another label as it is of that label's own rows on average (confident
learning: Northcutt, Jiang and Chuang, JAIR 70, 2021), and the labels of the training rows that
share most words with the text. Neither has seen the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["Doubt", "doubtful_labels", "text_features"]

_NEIGHBOURS = 10
_MOST_KNOWN = 50_000
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"  # kana and Chinese characters: each is a word
_WORD = rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{2,}}"


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


def text_features(texts: Sequence[str]) -> Any:
    """Words and pairs of words, TF-IDF of unit length; float32 sparse [n, terms].

    None where no word comes twice.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=_WORD, dtype=np.float32
    )
    try:
        return sparse.csr_array(vectorizer.fit_transform(texts))
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return None


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
    step = max(1, -(-len(known_texts) // _MOST_KNOWN))
    judges = known_targets[::step]
    features = text_features([*(texts[place] for place in places), *known_texts[::step]])
    if features is None or not len(places):
        return []
    likeness = (features[: len(places)] @ features[len(places) :].T).toarray()
    near = np.argpartition(-likeness, min(_NEIGHBOURS, likeness.shape[1] - 1), axis=1)
    near = near[:, :_NEIGHBOURS]
    weights = np.take_along_axis(likeness, near, axis=1)
    found = []
    for place, own, votes in zip(places.tolist(), judges[near], weights, strict=True):
        for_expected = float(votes[own == expected[place]].sum())
        for_given = float(votes[own == targets[place]].sum())
        if for_expected > for_given:
            found.append(Doubt(place, int(expected[place]), for_expected / float(votes.sum())))
    return sorted(found, key=lambda one: -float(probabilities[one.place, one.suggested]))


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
