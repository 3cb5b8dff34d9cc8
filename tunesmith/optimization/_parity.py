"""The parity gate: whether a runtime's answers are those of torch in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from tunesmith.errors import ConfigError
from tunesmith.optimization._embeddings import EmbeddingParity, judge_embeddings
from tunesmith.tasks import Task
from tunesmith.types import Estimate, LabelPrediction, Outputs, Prediction

__all__ = ["Parity", "Tolerances", "agreement", "judge_parity"]


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far a runtime's answers may be from those of torch in float32.

    Attributes:
        min_agreement: share of rows with the same label; of several labels a row, the mean overlap
            (intersection over union).
        max_difference: of any label's probability on any row.
        max_mean_difference: of the probability that differs most on a row, over rows.
        max_drop: of the leading metric, in points of a hundred.
        max_batch_difference: of a probability, between a text alone and among others.
        min_cosine: of an embedding to the reference's, and between a text's alone and among others.
            A runtime out of tolerance still answers; it gives no embeddings.
        max_similarity_difference: of the cosine similarity of two rows' embeddings.
    """

    min_agreement: float = 0.99
    max_difference: float = 0.15
    max_mean_difference: float = 0.02
    max_drop: float = 0.3
    max_batch_difference: float = 0.02
    min_cosine: float = 0.98
    max_similarity_difference: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), 100.0 if field.name == "max_drop" else 1.0
            if not 0 <= value <= most:
                raise ConfigError(
                    f"must be between 0 and {most:g}, and is {value:g}", where=field.name
                )

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Parity:
    """How a runtime's answers compare with the reference's on n rows.

    Attributes:
        agreement, largest_difference, mean_difference, batch_difference: see `Tolerances`.
        metric: the leading one; None where the rows have no labels.
        change: the metric's value less the reference's, paired row by row, as a share.
        embeddings: how its vectors compare; None where it gives none.
        refused_for: what is out of tolerance, each with its figure; empty where the gate is passed.
    """

    num_rows: int
    agreement: float
    largest_difference: float
    mean_difference: float
    batch_difference: float
    metric: str | None
    change: Estimate | None
    refused_for: tuple[str, ...]
    embeddings: EmbeddingParity | None = None

    @property
    def verified(self) -> bool:
        """Whether the answers are the reference's, within the tolerances."""
        return not self.refused_for

    def as_dict(self) -> dict[str, Any]:
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "change": None if self.change is None else self.change.as_dict(),
            "refused_for": list(self.refused_for),
            "embeddings": None if self.embeddings is None else self.embeddings.as_dict(),
        }


def judge_parity(
    task: Task,
    reference: Outputs,
    outputs: Outputs,
    alone: Outputs,
    tolerances: Tolerances,
    *,
    metric: str | None = None,
    change: Estimate | None = None,
) -> Parity:
    """Compares a runtime's outputs with the reference's on the same n rows.

    Args:
        reference: of torch in float32.
        outputs: of the runtime, which was given rows of all lengths together.
        alone: of the runtime for the first rows, of which each was given by itself.
        metric, change: see `Parity`; `change` is of a metric of which more is better.
    """
    wanted, found, single = (
        np.asarray(task.probabilities(one)) for one in (reference, outputs, alone)
    )
    gaps = np.abs(found - wanted).max(axis=1)
    figures = {
        "agreement": agreement(task.decode(reference), task.decode(outputs)),
        "largest_difference": float(gaps.max()),
        "mean_difference": float(gaps.mean()),
        "batch_difference": float(np.abs(single - found[: len(single)]).max()),
    }
    return Parity(
        num_rows=len(wanted),
        metric=metric,
        change=change,
        refused_for=_refusals(figures, change, tolerances),
        embeddings=_embeddings(reference, outputs, alone, tolerances),
        **figures,
    )


def _embeddings(
    reference: Outputs, outputs: Outputs, alone: Outputs, tolerances: Tolerances
) -> EmbeddingParity | None:
    if reference.states is None or outputs.states is None or alone.states is None:
        return None
    return judge_embeddings(
        reference.states,
        outputs.states,
        alone.states,
        least_cosine=tolerances.min_cosine,
        max_difference=tolerances.max_similarity_difference,
    )


def _refusals(
    figures: dict[str, float], change: Estimate | None, tolerances: Tolerances
) -> tuple[str, ...]:
    """What is out of tolerance; a figure that is not a number is."""
    faults = []
    if not figures["agreement"] >= tolerances.min_agreement:
        faults.append(
            f"agrees on {figures['agreement']:.2%} of the rows, not {tolerances.min_agreement:.2%}"
        )
    for name, limit, text in (
        ("largest_difference", tolerances.max_difference, "a probability differs by {:.3f}"),
        ("mean_difference", tolerances.max_mean_difference, "probabilities differ by {:.4f} a row"),
        ("batch_difference", tolerances.max_batch_difference, "in a batch it differs by {:.3f}"),
    ):
        if not figures[name] <= limit:
            faults.append(f"{text.format(figures[name])}, more than {limit:g}")
    if change is not None and not -100 * change.value <= tolerances.max_drop:
        faults.append(f"drops by {-100 * change.value:.2f} points, more than {tolerances.max_drop}")
    return tuple(faults)


def agreement(reference: Sequence[Prediction], found: Sequence[Prediction]) -> float:
    """Share of rows with the same label; of several labels, the mean intersection over union."""
    pairs = ((_labels(a), _labels(b)) for a, b in zip(reference, found, strict=True))
    return float(np.mean([len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs]))


def _labels(prediction: Prediction) -> set[str]:
    if isinstance(prediction, LabelPrediction):
        return {prediction.label}
    return set(prediction.labels)
