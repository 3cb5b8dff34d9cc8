"""Judges of a row's label, none of which has seen it: a linear model, the nearest texts, the words.

The linear model is cross-validated and fitted a second time without the rows that it doubts
(Northcutt, Jiang & Chuang 2021, "Confident Learning", prunes likewise). The labels of the nearest
texts bear wrong labels that cluster better than a fitted boundary does (Bahri, Jiang & Gupta 2020,
"Deep k-NN for Noisy Labels"). Both look at the states of the encoder; the words are another view,
and err elsewhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "by_model",
    "by_neighbours",
    "by_words",
    "nearest_rows",
    "unit_length",
    "word_features",
    "word_vectorizer",
]

_FOLDS = 5
_STRENGTH = 10.0  # C of the linear model, as for the probe
_WORDS_STRENGTH = 0.5
_NEIGHBOURS = 50
_TEMPERATURE = 0.2
_DOUBTED_BY_MODEL, _DOUBTED_BY_NEIGHBOURS = 0.3, 0.2
_ROWS_AT_ONCE = 1_000
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"  # kana and Chinese characters: each is a word
_WORD = rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{2,}}"


def by_model(
    features: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int, times: int = 1
) -> NDArray[np.float64]:
    """What a linear model says of each row; float64 [n, labels], each row sums to 1.

    Args:
        features: float32 [n, width], of unit length.
        targets: int64 [n], codes of the labels.
        times: how many times the rows are cut into folds anew; the mean is told. Of few rows, what
            is told depends much on the cut.
    """
    every = (_by_model(features, targets, num_labels, seed) for seed in range(times))
    return np.asarray(sum(every, np.zeros((len(targets), num_labels))) / times)


def _by_model(
    features: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int, seed: int
) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    folds = _folds(targets, seed)
    models = [LogisticRegression(C=_STRENGTH, max_iter=200, warm_start=True) for _ in folds]
    trusted = np.ones(len(targets), dtype=bool)
    told = np.zeros((len(targets), num_labels))
    for _ in range(2):
        for model, (train, held_out) in zip(models, folds, strict=True):
            kept = train[trusted[train]]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(features[kept], targets[kept])
            told[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
        agrees = told.argmax(axis=1) == targets
        doubted = ~agrees & (told[np.arange(len(targets)), targets] <= _DOUBTED_BY_MODEL)
        trusted = _keep_labels(~doubted, targets, num_labels)
    return told


def by_neighbours(
    features: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int
) -> NDArray[np.float64]:
    """What the labels of the nearest texts say of each row; as `by_model`."""
    indices, likeness = nearest_rows(features, min(_NEIGHBOURS, max(len(targets) // 10, 1)))
    weights = np.exp(likeness.astype(np.float64) / _TEMPERATURE)
    weights /= weights.sum(axis=1, keepdims=True)
    given = np.eye(num_labels)[targets]
    told = _mean_of(given, indices, weights)
    # Once more, with what the neighbours say in place of the labels that they hold for wrong.
    doubted = told[np.arange(len(targets)), targets] < _DOUBTED_BY_NEIGHBOURS
    return _mean_of(np.where(doubted[:, None], told, given), indices, weights)


def word_vectorizer() -> Any:
    """A TF-IDF of words and pairs of words that come twice; each Chinese character is a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=_WORD)


def word_features(texts: Sequence[str]) -> Any:
    """Words and pairs of words, TF-IDF; sparse [n, terms]. None where no word comes twice."""
    try:
        return word_vectorizer().fit_transform(texts).astype(np.float32)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return None


def by_words(
    words: Any, targets: NDArray[np.int64], num_labels: int, suspected: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The label that a linear model of the words gives to each row; int64 [n].

    Args:
        words: what `word_features` makes of the texts.
        suspected: bool [n], rows that the model is not to learn from.
    """
    from sklearn.svm import LinearSVC

    trusted = _keep_labels(~suspected, targets, num_labels)
    told = np.zeros(len(targets), dtype=np.int64)
    for train, held_out in _folds(targets):
        kept = train[trusted[train]]
        model = LinearSVC(C=_WORDS_STRENGTH, random_state=0).fit(words[kept], targets[kept])
        told[held_out] = model.predict(words[held_out])
    return told


def nearest_rows(
    unit: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest other rows of each, and their cosines; [n, count]."""
    indices = np.empty((len(unit), count), dtype=np.int64)
    likeness = np.empty((len(unit), count), dtype=np.float32)
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        cosines = unit[start : start + _ROWS_AT_ONCE] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -2.0
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        indices[start : start + len(own)] = best
        likeness[start : start + len(own)] = np.take_along_axis(cosines, best, axis=1)
    return indices, likeness


def unit_length(features: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norms, 1e-12), dtype=np.float32)


def _folds(
    targets: NDArray[np.int64], seed: int = 0
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Of each fold the rows to learn from and those held out."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(targets, targets))


def _keep_labels(
    trusted: NDArray[np.bool_], targets: NDArray[np.int64], num_labels: int
) -> NDArray[np.bool_]:
    """The same, with all rows of a label of which hardly one is trusted: it is a label still."""
    left = np.bincount(targets[trusted], minlength=num_labels)
    return np.asarray(trusted | (left < _FOLDS)[targets])


def _mean_of(
    values: NDArray[np.float64], indices: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The weighted mean of the rows that the indices name; [n, labels]."""
    means = np.empty_like(values)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        means[part] = np.einsum("nk,nkc->nc", weights[part], values[indices[part]])
    return means
