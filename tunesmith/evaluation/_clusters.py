"""Texts put into clusters by their words, and the words that tell each cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cluster", "cluster_texts"]

_FEWEST_TEXTS = 10
_FEWEST_OF_CLUSTER = 3
_MOST_CLUSTERS = 8
_TEXTS_A_CLUSTER = 5
_DIMENSIONS = 50
_WORDS = 5


@dataclass(frozen=True, slots=True)
class Cluster:
    """Texts that share words.

    Attributes:
        places: int64 [m], of its texts; those nearest to its middle first.
        words: words that are more frequent in it than in the other texts, the most telling first.
    """

    places: NDArray[np.int64]
    words: tuple[str, ...]


def cluster_texts(texts: Sequence[str], seed: int) -> list[Cluster]:
    """Clusters by k-means of the texts' TF-IDF in 50 dimensions, the largest first.

    As many as have the best silhouette (Rousseeuw, Journal of Computational and Applied
    Mathematics 20, 1987), eight at most. Empty for fewer than ten texts, or where no word comes
    twice. Texts that share no word with others are in none.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import silhouette_score

    if len(texts) < _FEWEST_TEXTS:
        return []
