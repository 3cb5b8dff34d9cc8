"""Texts put into clusters by their words, and the words that tell each cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.checks import word_vectorizer
from tunesmith.evaluation._word_lists import stop_words

__all__ = ["Cluster", "cluster_texts", "word_features"]

_FEWEST_TEXTS = 10
_FEWEST_OF_CLUSTER = 3
_MOST_CLUSTERS = 8
_TEXTS_A_CLUSTER = 5
_DIMENSIONS = 50
_WORDS = 5
_OFTENER = 2.5
_COMMON = 0.6
# Kana and Chinese characters, each of which is a word.
_GAP = re.compile("(?<=[\u3040-\u30ff\u3400-\u9fff]) (?=[\u3040-\u30ff\u3400-\u9fff])")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Texts that share words.

    Attributes:
        places: int64 [m], of its texts; those nearest to its middle first.
        words: words and pairs of words that it has much oftener than the other texts, the most
            telling first.
    """

    places: NDArray[np.int64]
    words: tuple[str, ...]


def word_features(texts: Sequence[str]) -> tuple[sparse.csr_array, NDArray[Any]] | None:
    """Words and pairs of words, TF-IDF of unit length.

    Returns:
        float32 sparse [n, terms], and the terms; None where no word comes twice.
    """
    vectorizer = word_vectorizer()
    try:
        features = vectorizer.fit_transform(texts).astype(np.float32)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return None
    return sparse.csr_array(features), vectorizer.get_feature_names_out()


def cluster_texts(texts: Sequence[str], seed: int) -> list[Cluster]:
    """Clusters by k-means of the texts' TF-IDF in 50 dimensions, the largest first.

    There are as many as have the best silhouette (Rousseeuw, Journal of Computational and Applied
    Mathematics 20, 1987), eight at most. Empty for fewer than ten texts, or where no word comes
    twice. Texts that share no word with others are in none, nor are those of clusters of two.
    """
    found = word_features(texts) if len(texts) >= _FEWEST_TEXTS else None
    if found is None:
        return []
    features, terms = found
    sharing = np.flatnonzero(np.asarray(features.sum(axis=1)) > 0)
    if len(sharing) < _FEWEST_TEXTS:
        return []
    features = features[sharing]
    points = _in_few_dimensions(features, seed)
    codes, centres = _k_means(points, seed)
    held = sparse.csr_array(features > 0)
    is_common = _of_stop_words(held, terms)
    clusters = []
    for code in range(len(centres)):
        own = np.flatnonzero(codes == code)
        if len(own) >= _FEWEST_OF_CLUSTER:
            distance = np.linalg.norm(points[own] - centres[code], axis=1)
            order = own[np.argsort(distance, kind="stable")]
            words = _telling(held, codes == code, terms, is_common)
            clusters.append(Cluster(sharing[order], words))
    return sorted(clusters, key=lambda cluster: -len(cluster.places))


def _in_few_dimensions(features: sparse.csr_array, seed: int) -> NDArray[np.float64]:
    """Latent semantic analysis; points of unit length, float64 [n, dimensions]."""
    from sklearn.decomposition import TruncatedSVD

    most = min(features.shape) - 1
    if most > _DIMENSIONS:
        points = TruncatedSVD(_DIMENSIONS, random_state=seed).fit_transform(features)
    else:
        points = features.toarray()
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.maximum(norms, 1e-12), dtype=np.float64)


def _k_means(
    points: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The cluster of each point, and the middles, for the number of clusters that fits best."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    # Equal points are one: k-means finds no more clusters than there are different points.
    most = min(_MOST_CLUSTERS, len(points) // _TEXTS_A_CLUSTER, len(np.unique(points, axis=0)) - 1)
    best: tuple[float, Any] = (-2.0, None)
    for count in range(2, most + 1):
        model = KMeans(count, n_init=4, random_state=seed).fit(points)
        score = silhouette_score(points, model.labels_)
        if score > best[0]:
            best = (score, model)
    if best[1] is None:
        return np.zeros(len(points), dtype=np.int64), points.mean(axis=0, keepdims=True)
    return best[1].labels_.astype(np.int64), best[1].cluster_centers_


def _of_stop_words(held: sparse.csr_array, terms: NDArray[Any]) -> NDArray[np.bool_]:
    """Which terms hold a stop word: of the list, or one that stands in most of the texts."""
    often = np.asarray(held.sum(axis=0)) >= _COMMON * held.shape[0]
    stop = stop_words() | {str(term) for term in terms[often] if " " not in term}
    return np.array([not stop.isdisjoint(str(term).split()) for term in terms], dtype=np.bool_)


def _telling(
    held: sparse.csr_array,
    inside: NDArray[np.bool_],
    terms: NDArray[Any],
    is_common: NDArray[np.bool_],
) -> tuple[str, ...]:
    """What many texts of a cluster hold and few others do; no term within another.

    Args:
        is_common: terms with a word that says nothing of a matter.
    """
    own = np.asarray(held[inside].sum(axis=0)) / inside.sum()
    other = (np.asarray(held[~inside].sum(axis=0)) + 0.5) / ((~inside).sum() + 1)
    is_telling = (own >= _OFTENER * other) & ~is_common
    weight = np.where(is_telling, own * np.log(np.maximum(own, 1e-12) / other), 0.0)
    chosen: list[str] = []
    for place in np.argsort(-weight, kind="stable").tolist():
        term = _GAP.sub("", str(terms[place]))
        if weight[place] <= 0 or len(chosen) == _WORDS:
            break
        if not any(f" {term} " in f" {one} " or f" {one} " in f" {term} " for one in chosen):
            chosen.append(term)
    return tuple(chosen)
