"""The parity gate for embeddings: whether a runtime's vectors are those of torch in float32."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EmbeddingParity", "judge_embeddings"]

_PAIRED_ROWS = 500
"""So many rows are paired with each other: enough to see a difference, and no table of millions."""


@dataclass(frozen=True, slots=True)
class EmbeddingParity:
    """How a runtime's vectors compare with the reference's on the same rows.

    Attributes:
        mean_cosine, least_cosine: between a row's two vectors.
        similarity_difference: the largest, of two rows' cosine similarity, which is what vectors
            are asked for.
        batch_cosine: the least, between a text's vector alone and among others.
        refused_for: what is out of tolerance, each with its figure; empty where the gate is passed.
    """

    mean_cosine: float
    least_cosine: float
    similarity_difference: float
    batch_cosine: float
    refused_for: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "refused_for": list(self.refused_for)}


def judge_embeddings(
    reference: NDArray[np.float32],
    found: NDArray[np.float32],
    alone: NDArray[np.float32],
    *,
    least_cosine: float,
    max_difference: float,
) -> EmbeddingParity:
    """Compares pooled states, float32 [n, hidden], row by row.

    Args:
        reference: of torch in float32.
        found: of the runtime, which was given rows of all lengths together.
        alone: of the runtime for the first rows, of which each was given by itself.
        least_cosine: what every row must reach, alone and in a batch.
        max_difference: of the cosine similarity of two rows.
    """
    wanted, own, single = (_unit(one) for one in (reference, found, alone))
    if wanted.shape != own.shape:
        return EmbeddingParity(0, 0, 2, 0, (f"vectors of {own.shape[1]} values",))
    cosines = (wanted * own).sum(axis=1)
    some = np.linspace(0, len(wanted) - 1, min(len(wanted), _PAIRED_ROWS)).astype(int)
    gaps = np.abs(wanted[some] @ wanted[some].T - own[some] @ own[some].T)
    figures = {
        "mean_cosine": float(cosines.mean()),
        "least_cosine": float(cosines.min()),
        "similarity_difference": float(gaps.max()),
        "batch_cosine": float((single * own[: len(single)]).sum(axis=1).min()),
    }
    faults = []
    if not figures["least_cosine"] >= least_cosine:
        faults.append(f"a vector has a cosine of {figures['least_cosine']:.3f} to the reference's")
    if not figures["batch_cosine"] >= least_cosine:
        faults.append(f"in a batch a vector has a cosine of {figures['batch_cosine']:.3f} to alone")
    if not figures["similarity_difference"] <= max_difference:
        gap = figures["similarity_difference"]
        faults.append(f"a similarity of two texts differs by {gap:.3f}")
    return EmbeddingParity(**figures, refused_for=tuple(faults))


def _unit(states: NDArray[np.float32]) -> NDArray[np.float64]:
    """The rows at length 1; a row of zeros, or with what is no number, has no direction: NaN."""
    wide = states.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit
