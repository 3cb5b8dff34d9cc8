"""Cheap models that a fine-tuned one must beat to be worth its cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from tunesmith.types import Dataset

__all__ = ["Baseline", "MajorityBaseline", "TfidfBaseline", "smoothed_shares"]

COST = 1.0
"""Of a margin violation, LinearSVC's C: 0.5 and 2 did no better on four data sets."""

TOLERANCE = 0.3
"""LinearSVC's stopping rule; 1e-4 takes a third longer and is no more accurate."""

CALIBRATION_SHARE = 0.25
MAX_CALIBRATION_ROWS = 2000
MIN_CALIBRATION_ROWS = 40

UNCALIBRATED = (3.0, 0.0)
"""Scale and shift of the margins where too few rows can be held out; 2.4 to 5 is what fits give."""

MAX_FEATURES = 200_000
"""Of each kind, the most frequent ones: bounds the weights to 8 bytes x features x labels."""

MAX_WORD_CHARACTERS = 20_000
CHARACTER_BUDGET = 20_000_000
"""Characters read for character n-grams over all rows; each row gets an equal share of them."""


class Baseline(Protocol):
    """A model without a language model: fitted in seconds, judged beside every fine-tuned one."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def fit(self, train: Dataset, targets: NDArray[Any]) -> None:
        """Learn from the training rows alone.

        Args:
            train: n examples.
            targets: as `task.encode` gives them, int64 [n] or float32 [n, labels].
        """

    def probabilities(self, data: Dataset) -> NDArray[np.float64]:
        """Float64 [n, labels]; each row sums to 1 for single-label tasks."""


class MajorityBaseline:
    """Answers every example with how often each label occurs in training (add-one smoothed)."""

    name = "majority class"

    def __init__(self, labels: Sequence[str]) -> None:
        self._num_labels = len(labels)
        self._frequencies: NDArray[np.float64] = np.empty(0)

    def fit(self, train: Dataset, targets: NDArray[Any]) -> None:  # noqa: ARG002 - needs no texts
        """See `Baseline.fit`."""
        self._frequencies = _label_frequencies(targets, self._num_labels)

    def probabilities(self, data: Dataset) -> NDArray[np.float64]:
        """See `Baseline.probabilities`."""
        assert self._frequencies.size, "fit first"
        return np.tile(self._frequencies, (len(data), 1))


class TfidfBaseline:
    """TF-IDF of word and character n-grams, and a linear support vector machine for each label.

    Words: 1 and 2 in a row. Characters: 1 to 4 in a row within words, which also reads languages
    written without spaces, and misspellings. Term frequencies are sublinear, 1 + log(tf). Margins
    become probabilities by a softmax of temperature-scaled margins (single-label; Guo et al., "On
    calibration of modern neural networks", ICML 2017) or a sigmoid of a line through them
    (multi-label; Platt 1999), fitted on a quarter of the rows that a first fit did not see.

    Args:
        labels: the task's labels, in the order of the scores.
        seed: of the calibration split and of the solver; same seed, same probabilities.
    """

    name = "TF-IDF + linear"

    def __init__(self, labels: Sequence[str], *, seed: int = 0) -> None:
        self._num_labels = len(labels)
        self._seed = seed
        self._vectorizers: list[tuple[int, int, Any]] = []
        self._frequencies: NDArray[np.float64] = np.empty(0)
        self._multi_label = False
        self._weights: NDArray[np.float64] = np.empty(0)
        self._line = UNCALIBRATED

    def fit(self, train: Dataset, targets: NDArray[Any]) -> None:
        """See `Baseline.fit`."""
        self._multi_label = targets.ndim == 2
        self._frequencies = _label_frequencies(targets, self._num_labels)
        features = self._fit_features(train)
        if features is None:
            return
        kept, held = self._calibration_split(len(train))
        if len(held):
            weights = self._fit_weights(features[kept], targets[kept], tolerance=1.0)
            self._line = self._calibrate(_margins(features[held], weights), targets[held])
        self._weights = self._fit_weights(features, targets, tolerance=TOLERANCE)

    def probabilities(self, data: Dataset) -> NDArray[np.float64]:
        """See `Baseline.probabilities`."""
        assert self._frequencies.size, "fit first"
        if not self._vectorizers:
            return np.tile(self._frequencies, (len(data), 1))
        blocks = [
            vectorizer.transform(_texts(data, column, limit))
            for column, limit, vectorizer in self._vectorizers
        ]
        margins = _margins(sparse.hstack(blocks, format="csr"), self._weights)
        scale, shift = self._line
        if self._multi_label:
            return np.asarray(0.5 * (1 + np.tanh(0.5 * (scale * margins + shift))))
        return np.exp(_log_softmax(scale * margins))

    def _fit_features(self, train: Dataset) -> Any:
        """TF-IDF of every column, sparse [n, features]; None if the texts hold nothing at all."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        share = CHARACTER_BUDGET // max(1, len(train))
        kinds: list[tuple[int, dict[str, Any]]] = [
            (MAX_WORD_CHARACTERS, {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}),
            (max(200, share), {"analyzer": "char_wb", "ngram_range": (1, 4)}),
        ]
        blocks: list[Any] = []
        self._vectorizers = []
        for column in range(len(train.columns)):
            for limit, options in kinds:
                rarest = 2 if len(train) >= 1000 and "analyzer" in options else 1
                vectorizer = TfidfVectorizer(
                    sublinear_tf=True, min_df=rarest, max_features=MAX_FEATURES, **options
                )
                try:
                    blocks.append(vectorizer.fit_transform(_texts(train, column, limit)))
                except ValueError:  # empty vocabulary: nothing but punctuation or spaces
                    continue
                self._vectorizers.append((column, limit, vectorizer))
        return sparse.hstack(blocks, format="csr") if blocks else None

    def _calibration_split(self, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.random.default_rng(self._seed).permutation(num_rows)
        if num_rows < MIN_CALIBRATION_ROWS:
            return order, order[:0]
        num_held = int(num_rows * CALIBRATION_SHARE)
        return order[num_held:], order[:num_held][:MAX_CALIBRATION_ROWS]

    def _fit_weights(
        self, features: Any, targets: NDArray[Any], tolerance: float
    ) -> NDArray[np.float64]:
        """One row of weights for each label, the bias last: [labels, features + 1].

        A label that all rows have, or none, gets no weights and a bias of 1 or -1.
        """
        weights = np.zeros((self._num_labels, features.shape[1] + 1))
        if self._multi_label:
            for place in range(self._num_labels):
                self._fit_label(weights, place, features, targets[:, place] > 0.5, tolerance)
            return weights
        present = np.unique(targets)
        weights[:, -1] = -1.0
        if len(present) < 3:
            self._fit_label(weights, int(present[-1]), features, targets == present[-1], tolerance)
            if len(present) == 2:
                weights[present[0]] = -weights[present[1]]
            return weights
        machine = self._machine(tolerance).fit(features, targets)
        weights[present] = np.column_stack([machine.coef_, machine.intercept_])
        return weights

    def _fit_label(
        self,
        weights: NDArray[np.float64],
        place: int,
        features: Any,
        has: NDArray[np.bool_],
        tolerance: float,
    ) -> None:
        if has.all() or not has.any():
            weights[place, -1] = 1.0 if has.all() else -1.0
            return
        machine = self._machine(tolerance).fit(features, has)
        weights[place] = np.append(machine.coef_[0], machine.intercept_)

    def _machine(self, tolerance: float) -> Any:
        from sklearn.svm import LinearSVC

        return LinearSVC(C=COST, tol=tolerance, random_state=self._seed)

    def _calibrate(
        self, margins: NDArray[np.float64], targets: NDArray[Any]
    ) -> tuple[float, float]:
        """(scale, shift) of the margins with the lowest log loss on these rows."""
        if self._multi_label:
            signs = np.where(targets > 0.5, 1.0, -1.0)

            def binary_loss(line: NDArray[np.float64]) -> float:
                return float(np.logaddexp(0, -signs * (np.exp(line[0]) * margins + line[1])).mean())

            best = optimize.minimize(binary_loss, x0=np.zeros(2), method="L-BFGS-B").x
            return float(np.exp(best[0])), float(best[1])

        def loss(log_scale: float) -> float:
            chosen = _log_softmax(float(np.exp(log_scale)) * margins)
            return float(-chosen[np.arange(len(targets)), targets].mean())

        found = optimize.minimize_scalar(loss, bounds=(-2.0, 4.0), method="bounded")
        return float(np.exp(found.x)), 0.0


def smoothed_shares(
    counts: Sequence[int] | NDArray[Any], num_rows: int, *, several: bool
) -> NDArray[np.float64]:
    """How often each label occurs, float64 [labels]: what the majority baseline answers.

    Add-one smoothed, so that a label unseen in training is unlikely and not impossible.

    Args:
        counts: rows with each label.
        several: whether a row may have several labels.
    """
    found = np.asarray(counts, dtype=np.float64)
    return np.asarray((found + 1) / (num_rows + (2 if several else len(found))))


def _label_frequencies(targets: NDArray[Any], num_labels: int) -> NDArray[np.float64]:
    several = targets.ndim == 2
    counts = targets.sum(axis=0) if several else np.bincount(targets, minlength=num_labels)
    return smoothed_shares(counts, len(targets), several=several)


def _texts(data: Dataset, column: int, limit: int) -> list[str]:
    """One column's texts, each cut to `limit` characters."""
    return [value[:limit] if isinstance(value, str) else "" for value in data.columns[column]]


def _margins(features: Any, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(features @ weights[:, :-1].T) + weights[:, -1]


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
