"""The training examples nearest to a text, by the model's own view of both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import redacted
from tunesmith.explanation._results import Neighbour
from tunesmith.types import Dataset

__all__ = ["nearest_examples"]

_LONGEST = 500


def nearest_examples(
    vectors: NDArray[np.float32],
    examples: Dataset,
    example_vectors: NDArray[np.float32],
    count: int,
) -> list[tuple[Neighbour, ...]]:
    """The examples nearest to each of n texts by cosine, the nearest first.

    Args:
        vectors: the model's pooled states of the texts, float32 [n, hidden].
        examples: m labelled examples; personal data in what is shown of them is masked.
        example_vectors: float32 [m, hidden].
        count: how many for each text, where there are so many.
    """
    similar = _unit(vectors) @ _unit(example_vectors).T
    order = np.argsort(-similar, axis=1, kind="stable")[:, :count]
    return [
        tuple(_neighbour(examples, int(place), float(row[place])) for place in places)
        for row, places in zip(similar, order, strict=True)
    ]


def _neighbour(examples: Dataset, place: int, similarity: float) -> Neighbour:
    example = examples[place]
    assert example.target is not None
    texts = tuple(_cut(redacted(str(text))) for text in example.inputs)
    return Neighbour(example.row, texts, example.target, min(similarity, 1.0))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))
