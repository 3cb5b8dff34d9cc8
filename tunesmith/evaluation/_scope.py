"""Inputs that the model was not made for: a score, its threshold, and how well it tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import counted
from tunesmith.evaluation._headline import figure
from tunesmith.evaluation._intervals import percentile_interval, rate_estimate, wilson_rate
from tunesmith.evaluation._measure import resampled_weights
from tunesmith.evaluation._outcomes import is_multi_label
from tunesmith.tasks import Scope, ScopeScore, Task, scope_scores
from tunesmith.types import Estimate, Outputs

__all__ = ["ACCEPTED", "DEFAULT_SCORE", "ScopeSection", "auroc", "fit_scope", "scope_section"]

ACCEPTED = 0.95
"""The share of rows like the validation rows that count as in scope."""

DEFAULT_SCORE: ScopeScore = "energy"
"""It tells other domains' texts and held-out labels better; see benchmarks/RESULTS.md."""


def fit_scope(
    task: Task,
    scores: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    score: ScopeScore = DEFAULT_SCORE,
) -> Scope:
    """The threshold that 95 % of validation rows are above.

    Args:
        scores: the model's raw ones, [n, labels].
        probabilities: [n, labels], by a calibration that was not fitted on the rows.
    """
    own = np.sort(scope_scores(score, scores, probabilities, several=is_multi_label(task)))
    rank = int((len(own) + 1) * (1 - ACCEPTED))
    return Scope(score, float(own[max(0, rank - 1)]), ACCEPTED)


def auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """How often an input in scope scores higher than one outside; equal scores count half."""
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, side="left")
    not_above = np.searchsorted(ranked, inside, side="right")
    return float((below + not_above).mean() / (2 * len(ranked)))


def _auroc_estimate(
    inside: NDArray[np.float64],
    outside: NDArray[np.float64],
    confidence: float,
    resamples: int,
    seed: int,
) -> Estimate:
    """With a bootstrap interval over both kinds of rows.

    The area is the mean over pairs, so a resample's is its counts of the rows in scope, times the
    pairs' outcomes, times its counts of the others.
    """
    value = auroc(inside, outside)
    ranked, own = np.sort(outside), np.sort(inside)
    samples: list[float] = []
    drawn = zip(
        _counts(len(own), resamples, seed), _counts(len(ranked), resamples, seed + 1), strict=True
    )
    below = np.searchsorted(ranked, own, side="left")
    not_above = np.searchsorted(ranked, own, side="right")
    for counts, others in drawn:
        up_to = np.concatenate([[0], np.cumsum(others)])
        samples.append(
            float(counts @ (up_to[below] + up_to[not_above])) / (2 * len(own) * len(ranked))
        )
    found = percentile_interval(value, np.array(samples), confidence)
    if found.has_interval:
        return found
    # All pairs told apart: no more is known than of so many trials that all went well.
    open_end = wilson_rate(0, min(len(own), len(ranked)), confidence).high
    return Estimate(value, max(0.0, value - open_end), min(1.0, value + open_end))


def _counts(num_rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    for weights in resampled_weights(num_rows, resamples, seed):
        yield from weights.T


@dataclass(frozen=True, slots=True)
class Outside:
    """One kind of texts that the model was not made for.

    Attributes:
        kind: what they are, in words.
        auroc: score → how well it tells them from the test rows.
        accepted: the share that counts as in scope all the same.
    """

    kind: str
    num_rows: int
    auroc: dict[ScopeScore, Estimate]
    accepted: Estimate


@dataclass(frozen=True, slots=True)
class ScopeSection:
    """The report's part on inputs out of scope.

    Attributes:
        score: the one that is used; see `Scope.score`.
        accepted: the share of the test rows that counts as in scope.
        asked: what that share should be.
        outside: kind by kind; the last is all of them together.
    """

    score: ScopeScore
    threshold: float
    asked: float
    accepted: Estimate
    outside: tuple[Outside, ...]
    num_rows: int
    confidence: float

    name: ClassVar[str] = "scope"
    template: ClassVar[str] = "scope.html"

    def view(self) -> Mapping[str, Any]:
        others = [name for name in get_args(ScopeScore) if name != self.score]
        return {
            "section": self,
            "scores": [self.score, *others],
            "names": _NAMES,
            "confidence": f"{100 * self.confidence:g}",
        }

    def sentences(self) -> tuple[str, ...]:
        everything = self.outside[-1]
        sentence = (
            f"out of scope: AUROC {figure('', everything.auroc[self.score].value)} on "
            f"{counted(everything.num_rows, 'text', 'texts')} of other kinds; of the test rows "
            f"{figure('', self.accepted.value)} count as in scope"
        )
        return (sentence,)

    def as_dict(self) -> dict[str, Any]:
        return {"auroc": self.outside[-1].auroc[self.score].as_dict(), **asdict(self)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        outside = tuple(
            Outside(
                own["kind"],
                own["num_rows"],
                {name: Estimate.from_dict(value) for name, value in own["auroc"].items()},
                Estimate.from_dict(own["accepted"]),
            )
            for own in saved["outside"]
        )
        values = {name: value for name, value in saved.items() if name != "auroc"}
        return cls(
            **{**values, "outside": outside, "accepted": Estimate.from_dict(saved["accepted"])}
        )


_NAMES = {"energy": "energy", "probability": "highest probability"}


def scope_section(
    task: Task,
    scope: Scope,
    scores: NDArray[np.float32],
    outside: Mapping[str, NDArray[np.float32]],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ScopeSection:
    """Measures how well unseen rows and texts of other kinds are told apart.

    Args:
        scores: the model's raw scores of the unseen rows, [n, labels].
        outside: kind of text → the model's raw scores, [m, labels]; at least one kind.
    """
    several = is_multi_label(task)

    def all_scores(raw: NDArray[np.float32]) -> dict[ScopeScore, NDArray[np.float64]]:
        probabilities = np.asarray(task.probabilities(Outputs(scores=raw)), dtype=np.float64)
        return {
            name: scope_scores(name, raw, probabilities, several=several)
            for name in get_args(ScopeScore)
        }

    inside = all_scores(scores)
    kinds = {kind: all_scores(raw) for kind, raw in outside.items()}
    if len(kinds) > 1:
        together = list(kinds.values())
        kinds["all of them"] = {
            name: np.concatenate([own[name] for own in together]) for name in get_args(ScopeScore)
        }

    def accepted(own: dict[ScopeScore, NDArray[np.float64]]) -> Estimate:
        values = own[scope.score]
        hits = float((values >= scope.threshold).sum())
        return rate_estimate(hits, len(values), confidence)

    return ScopeSection(
        score=scope.score,
        threshold=scope.threshold,
        asked=scope.accepted,
        accepted=accepted(inside),
        outside=tuple(
            Outside(
                kind,
                len(own[scope.score]),
                {
                    name: _auroc_estimate(inside[name], values, confidence, resamples, seed)
                    for name, values in own.items()
                },
                accepted(own),
            )
            for kind, own in kinds.items()
        ),
        num_rows=len(scores),
        confidence=confidence,
    )
