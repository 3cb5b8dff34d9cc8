"""What the data plane answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Prediction

__all__ = ["Answers", "Embeddings", "Scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the model gave for n inputs, in their order.

    Attributes:
        scores: the model's raw scores, float32 [n, labels].
        cut: index of an input → its tokens, where these were more than the model reads.
        num_tokens: tokens that the model read; none of what the cache held.
        num_cached: inputs whose scores the cache held.
        queue_s: seconds spent waiting for the model.
        inference_s: seconds spent in the model, tokenisation included.
    """

    scores: NDArray[np.float32]
    cut: Mapping[int, int]
    num_tokens: int
    num_cached: int
    queue_s: float
    inference_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(Scores):
    """The answers to one request, in the order of its texts.

    Attributes:
        predictions: one for each text.
    """

    predictions: list[Prediction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """The vectors of one request's texts, in their order.

    Attributes:
        vectors: float32 [n, hidden], each of length 1.
        num_tokens: tokens that the model read.
        queue_s, inference_s: as of `Scores`.
    """

    vectors: NDArray[np.float32]
    num_tokens: int
    queue_s: float
    inference_s: float
