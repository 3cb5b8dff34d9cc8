"""Explanations as values: frozen, and JSON when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.explanation._attribution import METHOD_NAMES, Attribution, Method
from tunesmith.explanation._reading import Reading
from tunesmith.types import Prediction, Target

__all__ = [
    "ExplainedText",
    "Explanation",
    "Neighbour",
    "WordAttribution",
    "explanation_of",
    "signed",
]


@dataclass(frozen=True, slots=True)
class WordAttribution:
    """One word, and what it adds to the label's log-odds.

    Attributes:
        field: the column that the text is of.
        text: the word as it is written.
        start, end: where it stands in that text, in characters.
        attribution: above 0 where it speaks for the label, below where it speaks against it.
    """

    field: str
    text: str
    start: int
    end: int
    attribution: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "field": self.field,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "attribution": self.attribution,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text has a label's probability.

    Attributes:
        label, probability: what is explained.
        words: all words that were read, in the order of the texts.
        attribution: the figures that the words' come from; its `values` are the words'.
    """

    label: str
    probability: float
    method: Method
    baseline: str
    words: tuple[WordAttribution, ...]
    attribution: Attribution

    def top(self, num_words: int) -> list[WordAttribution]:
        """The words that move the score most, either way, the strongest first."""
        return sorted(self.words, key=lambda word: -abs(word.attribution))[:num_words]

    def facts(self) -> str:
        """What the figures are, what they are compared with, and what they add up to."""
        own = self.attribution
        parts = [f"{METHOD_NAMES[self.method]}: log-odds {signed(own.score)}"]
        if own.is_before_isotonic:
            parts[0] += (
                f" ({own.probability:.1%}) before isotonic regression, which makes it "
                f"{self.probability:.1%}"
            )
        compared = "" if own.baseline_score is None else f"{signed(own.baseline_score)} of "
        parts.append(f"compared with {compared}{self.baseline}")
        if own.delta is None:
            parts.append("what the words add need not sum up to the difference")
            return "; ".join(parts)
        rough = "" if own.is_converged else ", which is large: take the figures as rough"
        parts.append(
            f"the words add up to {signed(own.total + own.other)}, convergence delta "
            f"{signed(own.delta, 3)} with {own.steps} steps{rough}"
        )
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        own = self.attribution
        return {
            "label": self.label,
            "probability": self.probability,
            "method": self.method,
            "baseline": self.baseline,
            "log_odds": own.score,
            "baseline_log_odds": own.baseline_score,
            "is_before_isotonic": own.is_before_isotonic,
            "steps": own.steps,
            "convergence_delta": own.delta,
            "is_converged": own.is_converged,
            "other": own.other,
            "total": own.total,
            "words": [word.as_dict() for word in self.words],
        }


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training example near to a text.

    Attributes:
        row: its row in its file, numbered from 1.
        inputs: its texts, personal data masked.
        target: its label or labels.
        similarity: cosine of the two pooled vectors, at most 1.
    """

    row: int
    inputs: tuple[str, ...]
    target: Target
    similarity: float

    def as_dict(self) -> dict[str, Any]:
        target = self.target if isinstance(self.target, str) else list(self.target)
        return {
            "row": self.row,
            "inputs": list(self.inputs),
            "target": target,
            "similarity": self.similarity,
        }


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """One example and why the model answers as it does.

    Attributes:
        fields: the columns that the texts are of.
        inputs: the texts, whole.
        prediction: the model's answer.
        explanations: one for each label that was asked for or given.
        num_tokens, full_tokens: tokens that the model reads, and tokens in all.
        neighbours: the training examples nearest to it, the nearest first.
        row: its row in its file; None where it is of none.
        target: its label in the file; None where it has none.
    """

    fields: tuple[str, ...]
    inputs: tuple[str, ...]
    prediction: Prediction
    explanations: tuple[Explanation, ...]
    num_tokens: int
    full_tokens: int
    neighbours: tuple[Neighbour, ...] = ()
    row: int | None = None
    target: Target | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the model reads only the beginning."""
        return self.full_tokens > self.num_tokens

    def as_dict(self) -> dict[str, Any]:
        return {
            "inputs": dict(zip(self.fields, self.inputs, strict=True)),
            "row": self.row,
            "target": list(self.target) if isinstance(self.target, tuple) else self.target,
            "prediction": self.prediction.as_dict(),
            "num_tokens": self.num_tokens,
            "full_tokens": self.full_tokens,
            "explanations": [one.as_dict() for one in self.explanations],
            "neighbours": [one.as_dict() for one in self.neighbours],
        }


def signed(value: float, decimals: int = 2) -> str:
    """A figure with its sign, which is no hyphen."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def explanation_of(
    reading: Reading,
    attribution: Attribution,
    *,
    label: str,
    probabilities: Mapping[str, float],
    method: Method,
    baseline: str,
    fields: Sequence[str],
) -> Explanation:
    """An attribution with the words and names that it is of."""
    words = tuple(
        WordAttribution(
            field=fields[word.field],
            text=str(reading.inputs[word.field])[word.start : word.end],
            start=word.start,
            end=word.end,
            attribution=value,
        )
        for word, value in zip(reading.words, np.asarray(attribution.values).tolist(), strict=True)
    )
    return Explanation(label, probabilities[label], method, baseline, words, attribution)
