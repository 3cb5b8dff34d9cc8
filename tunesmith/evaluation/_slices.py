"""Slices: how good a model is on parts of the test rows that a person would ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tunesmith.checks import tell_language
from tunesmith.evaluation._against_rest import AgainstRest, against_rest, ratio_of
from tunesmith.evaluation._figures import interval_bars
from tunesmith.evaluation._headline import figure, metric_name
from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.evaluation._parts import Parts, bins_of, parts_of
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Estimate

__all__ = [
    "USUAL_SLICES",
    "Slice",
    "Slices",
    "judge_slices",
    "length_parts",
    "row_texts",
    "slice_metric",
    "usual_parts",
]

FEWEST_ROWS = 10
"""Smaller slices say too little of how good a model is."""
CHANCE = 0.05
"""Share of the slices called different that may be so by chance."""

_MOST_ROWS_READ = 20_000  # for their language, which takes a tenth of a millisecond a text
_SHOWN = 8
_SENTENCES = 3
_TITLES = {
    "confidence": "By how sure the model is",
    "label": "By true label",
    "language": "By language",
    "length": "By length in characters",
}
USUAL_SLICES = tuple(sorted(_TITLES))
"""What the rows of every file are sliced by, as far as they differ in it."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the test rows beside all others.

    Attributes:
        kind: "length", "language", "label", "confidence" or "column".
        name: the column's name; of other kinds the kind.
        value: what the rows have in common: "1 to 40", "en", a label.
        num_rows: rows in the slice.
        metric: "accuracy", or "micro_f1" where a row may have several labels.
        estimate: the slice's figure.
        rest: that of all other rows.
        difference: `estimate` - `rest`.
        p_value: how often chance alone would give such a difference.
        adjusted_p_value: the same with all slices counted that were looked at (Benjamini and
            Hochberg, Journal of the Royal Statistical Society B 57, 1995).
    """

    kind: str
    name: str
    value: str
    num_rows: int
    metric: str
    estimate: Estimate
    rest: Estimate
    difference: Estimate
    p_value: float
    adjusted_p_value: float

    @property
    def is_different(self) -> bool:
        """Whether chance hardly explains the difference."""
        return self.adjusted_p_value <= CHANCE

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "value": self.value,
            "num_rows": self.num_rows,
            "metric": self.metric,
            "estimate": self.estimate.as_dict(),
            "rest": self.rest.as_dict(),
            "difference": self.difference.as_dict(),
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Slice:
        """What `as_dict` described."""
        figures = {
            name: Estimate.from_dict(saved[name]) for name in ("estimate", "rest", "difference")
        }
        return cls(**{**saved, **figures})


@dataclass(frozen=True, slots=True)
class Slices:
    """The report's section on slices.

    Attributes:
        slices: in the order of the page.
        num_too_small: slices that were left out for having fewer than `FEWEST_ROWS` rows.
    """

    slices: tuple[Slice, ...]
    num_too_small: int = 0

    @property
    def name(self) -> str:
        return "slices"

    @property
    def template(self) -> str:
        return "slices.html"

    @property
    def lower(self) -> tuple[Slice, ...]:
        """The slices that are clearly worse than the rest, the lowest first."""
        found = [one for one in self.slices if one.is_different and one.difference.value < 0]
        return tuple(sorted(found, key=lambda one: one.estimate.value))

    def view(self) -> Mapping[str, Any]:
        bars, axis = interval_bars([one.estimate for one in self.slices], axis=(0.0, 1.0))
        tables: dict[tuple[str, str], list[Any]] = {}
        for one, bar in zip(self.slices, bars, strict=True):
            tables.setdefault((one.kind, one.name), []).append((one, bar))
        return {
            "tables": [_table(kind, name, rows) for (kind, name), rows in tables.items()],
            "metric": self.slices[0].metric,
            "axis": axis,
            "num_slices": len(self.slices),
            "num_lower": len(self.lower),
            "num_too_small": self.num_too_small,
            "fewest_rows": FEWEST_ROWS,
        }

    def sentences(self) -> tuple[str, ...]:
        # That unsure answers are wrong more often is as it should be.
        lower = [one for one in self.lower if one.kind != "confidence"][:_SENTENCES]
        if not lower:
            return ()
        told = "; ".join(
            f"{_called(one)} {figure(one.metric, one.estimate.value)} of {one.num_rows:,} rows"
            for one in lower
        )
        return (f"clearly lower {metric_name(lower[0].metric)} than elsewhere: {told}",)

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "slices": [one.as_dict() for one in self.slices],
            "num_too_small": self.num_too_small,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Slices:
        """What `as_dict` described."""
        return cls(tuple(Slice.from_dict(one) for one in saved["slices"]), saved["num_too_small"])


def judge_slices(
    task: Task,
    dataset: Dataset,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    columns: Mapping[str, Sequence[object]] | None = None,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Slices | None:
    """How good a model is on each slice: by length, language, columns, label and confidence.

    Args:
        dataset: the n rows that `targets` and `probabilities` belong to.
        columns: further columns to slice by, by name, n values each.
        groups: int64 [n], rows of one group depend on each other.

    Returns:
        None where no slice has enough rows.
    """
    texts = row_texts(dataset)
    parts = usual_parts(texts, columns or {})
    certainty = _certainty(task, probabilities)
    shown = [f"{100 * value:.0f} %" for value in certainty]
    own = (("label", "label", _label_members(task, targets)),
           ("confidence", "confidence", _members(bins_of(certainty, shown))))  # fmt: skip
    kept: list[tuple[str, str, str]] = []
    members: list[sparse.csc_array] = []
    num_too_small = 0
    for kind, name, (values, inside) in (*parts, *own):
        sizes = np.asarray(inside.sum(axis=0))
        fitting = np.flatnonzero((sizes >= FEWEST_ROWS) & (sizes <= len(texts) - FEWEST_ROWS))
        num_too_small += int(((sizes > 0) & (sizes < FEWEST_ROWS)).sum())
        if len(fitting):
            kept += [(kind, name, values[place]) for place in fitting.tolist()]
            members.append(inside[:, fitting])
    if not kept:
        return None
    judged = against_rest(
        ratio_of(task, targets, probabilities),
        sparse.hstack(members, format="csc"),
        groups=groups, confidence=confidence, resamples=resamples, seed=seed,
    )  # fmt: skip
    return Slices(_adjusted(kept, judged, slice_metric(task)), num_too_small)


def slice_metric(task: Task) -> str:
    """The figure that slices are given in."""
    return "micro_f1" if is_multi_label(task) else "accuracy"


def row_texts(dataset: Dataset) -> list[str]:
    """Each row's texts as one, a line each; other kinds of input are left out."""
    return [
        "\n".join(value for value in inputs if isinstance(value, str)) for inputs in dataset.inputs
    ]


Named = tuple[str, str, tuple[tuple[str, ...], sparse.csc_array]]
"""Kind, name, and the values with the rows that have them."""


def usual_parts(texts: Sequence[str], columns: Mapping[str, Sequence[object]]) -> list[Named]:
    """The rows by what is known of them before the model answers: length, language, columns."""
    named = [("column", name, _members(parts_of(values))) for name, values in columns.items()]
    language = [] if len(texts) > _MOST_ROWS_READ else _languages(texts)
    return [("length", "length", _members(length_parts(texts))), *language, *named]


def length_parts(texts: Sequence[str]) -> Parts:
    """The rows in quarters by their number of characters."""
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    return bins_of(lengths, [f"{int(length):,}" for length in lengths])


def _languages(texts: Sequence[str]) -> list[Named]:
    told = [language or "too short or mixed to tell" for language in tell_language(texts)]
    parts = parts_of(told)
    return [("language", "language", _members(parts))] if len(parts.names) > 1 else []


def _members(parts: Parts) -> tuple[tuple[str, ...], sparse.csc_array]:
    return parts.names, parts.members()


def _label_members(task: Task, targets: NDArray[Any]) -> tuple[tuple[str, ...], sparse.csc_array]:
    """The rows of each label; one with several labels is in several slices."""
    if is_multi_label(task):
        return task.labels, sparse.csc_array((targets > 0.5).astype(np.float64))
    return task.labels, Parts(task.labels, np.asarray(targets, dtype=np.int64)).members()


def _certainty(task: Task, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """How sure the model is of its answer; of several labels, of the least sure decision."""
    if not is_multi_label(task):
        return np.asarray(probabilities.max(axis=1))
    given = decide(task, probabilities)
    return np.asarray(np.where(given, probabilities, 1 - probabilities).min(axis=1))


def _adjusted(
    kept: Sequence[tuple[str, str, str]], judged: Sequence[AgainstRest], metric: str
) -> tuple[Slice, ...]:
    from scipy.stats import false_discovery_control

    adjusted = false_discovery_control([one.p_value for one in judged])
    return tuple(
        Slice(
            *named,
            num_rows=one.num_rows,
            metric=metric,
            estimate=one.estimate,
            rest=one.rest,
            difference=one.difference,
            p_value=one.p_value,
            adjusted_p_value=float(chance),
        )
        for named, one, chance in zip(kept, judged, adjusted, strict=True)
    )


def _called(one: Slice) -> str:
    """A slice in a sentence."""
    if one.kind == "length":
        return f"{one.value} characters"
    return f"{one.name} {one.value!r}"


def _table(kind: str, name: str, rows: list[Any]) -> dict[str, Any]:
    """One table of the page; of many labels the lowest first."""
    if kind == "label":
        rows = sorted(rows, key=lambda row: row[0].estimate.value)
    title = _TITLES.get(kind, f"By {name}")
    return {"title": title, "kind": kind, "rows": rows[:_SHOWN], "others": rows[_SHOWN:]}
