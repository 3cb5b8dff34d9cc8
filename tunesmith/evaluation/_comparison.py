"""Two bundles on the same rows: their figures, the difference, and the rows where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import counted
from tunesmith.errors import ConfigError
from tunesmith.evaluation._evaluate import evaluate, named_target, shown_inputs
from tunesmith.evaluation._forgetting import Answers
from tunesmith.evaluation._headline import comparison
from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.evaluation._paired import McNemar, mcnemar, paired_differences
from tunesmith.types import Dataset, Estimate, Metrics, Target

__all__ = ["ChangedRow", "Comparison", "compare_answers", "joint_labels"]

Change: TypeAlias = Literal["fixed", "broken", "other"]


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that two models answer differently.

    Attributes:
        row: its row in the source, numbered from 1.
        inputs: its texts, personal data masked.
        target: the right answer.
        before, after: the first model's answer, and the second's.
        change: "fixed" where only the second is right, "broken" where only the first is, "other"
            where neither is.
    """

    row: int
    inputs: tuple[str, ...]
    target: Target
    before: Target
    after: Target
    change: Change


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models, `before` and `after`, on the same n rows.

    Attributes:
        names: what the two are called.
        metric: the metric that is compared first.
        before, after: their figures.
        differences: metric → `after` - `before`, paired row by row.
        mcnemar: the test of who is right more often; `only_a` counts rows that `before` alone gets
            right. None for several labels a row.
        changed: the rows that they answer differently: broken ones first, then fixed ones.
        notes: what a reader must know.
    """

    names: tuple[str, str]
    metric: str
    before: Metrics
    after: Metrics
    differences: Mapping[str, Estimate]
    mcnemar: McNemar | None
    changed: tuple[ChangedRow, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[Change, int]:
        """How many rows were fixed, broken, or are wrong in another way."""
        found: dict[Change, int] = {"fixed": 0, "broken": 0, "other": 0}
        for row in self.changed:
            found[row.change] += 1
        return found

    def headline(self) -> str:
        """One sentence: whether the second is better, and what became of rows."""
        words = comparison(self.metric, self.differences[self.metric], self.names[0])
        counts = self.counts
        return (
            f"{self.names[1]}: {words}, on {counted(self.before.num_examples, 'row', 'rows')}; "
            f"{counts['fixed']:,} fixed, {counts['broken']:,} broken"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "a": {"name": self.names[0], "metrics": self.before.as_dict()},
            "b": {"name": self.names[1], "metrics": self.after.as_dict()},
            "metric": self.metric,
            "headline": self.headline(),
            "difference": {name: own.as_dict() for name, own in self.differences.items()},
            "mcnemar": None if self.mcnemar is None else self.mcnemar.as_dict(),
            "num_examples": self.before.num_examples,
            "num_changed": len(self.changed),
            **{f"num_{name}": count for name, count in self.counts.items()},
            "changed": [asdict(row) for row in self.changed],
            "notes": list(self.notes),
        }

    def to_html(self) -> str:
        """One self-contained page: no script, and nothing loaded from anywhere."""
        from tunesmith.evaluation._page import render_comparison

        return render_comparison(self)

    def _repr_html_(self) -> str:
        from tunesmith.evaluation._page import render_comparison_fragment

        return render_comparison_fragment(self)


def joint_labels(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """The labels of both, the first's in their order and then what the second adds."""
    known = set(first)
    return (*first, *(label for label in second if label not in known))


def compare_answers(
    dataset: Dataset,
    before: Answers,
    after: Answers,
    *,
    names: tuple[str, str],
    metric: str | None = None,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compares two models that answered the same rows.

    Both are judged over the labels of both; one that a model does not have it never gives.

    Args:
        dataset: n rows; every label is one of either model.
        metric: what is compared first; the task's leading one where None.
        groups, confidence, resamples, seed: see `evaluate`.

    Raises:
        ConfigError: there is no such metric.
        DataError: there are no rows.
    """
    labels = joint_labels(before.task.labels, after.task.labels)
    notes = _label_notes(before, after, names)
    old, new = before.over(labels), after.over(labels)
    targets = old.task.encode(dataset.targets or ())
    options: dict[str, Any] = {
        "groups": groups, "confidence": confidence, "resamples": resamples, "seed": seed
    }  # fmt: skip
    figures = [evaluate(own.task, targets, own.probabilities, **options) for own in (old, new)]
    known = [name for name in figures[0].values if name in figures[1].values]
    lead = metric or old.task.default_metrics[0]
    if lead not in known:
        raise ConfigError(
            f"there is no metric {lead!r} on these rows",
            where="--metric",
            mend=f"there are {', '.join(known)}",
        )
    return Comparison(
        names=names,
        metric=lead,
        before=figures[0],
        after=figures[1],
        differences=paired_differences(
            new.task, targets, new.probabilities, old.probabilities,
            metrics=tuple(dict.fromkeys([lead, *known])), task_b=old.task, **options,
        ),
        mcnemar=mcnemar(old.task, targets, old.probabilities, new.probabilities),
        changed=_changed(dataset, targets, old, new),
        notes=(*notes, *figures[0].notes),
    )  # fmt: skip


def _label_notes(before: Answers, after: Answers, names: tuple[str, str]) -> list[str]:
    notes = []
    for own, other, name in ((before, after, names[1]), (after, before, names[0])):
        lacking = [label for label in own.task.labels if label not in other.task.labels]
        if lacking:
            shown = ", ".join(map(repr, lacking[:10])) + (" …" if len(lacking) > 10 else "")
            notes.append(
                f"{name} does not have the labels {shown}, and gets their rows wrong; its log loss "
                "says nothing then"
            )
    return notes


def _changed(
    dataset: Dataset, targets: NDArray[Any], old: Answers, new: Answers
) -> tuple[ChangedRow, ...]:
    many = is_multi_label(old.task)
    given = [decide(own.task, own.probabilities) for own in (old, new)]
    truth = targets > 0.5 if many else targets

    def differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray((one != other).any(axis=1) if many else one != other)

    wrong = [differ(own, truth) for own in given]
    rows = [
        ChangedRow(
            row=int(dataset.rows[place]),
            inputs=shown_inputs(dataset, int(place)),
            target=named_target(old.task, targets[place]),
            before=named_target(old.task, given[0][place]),
            after=named_target(new.task, given[1][place]),
            change="broken" if not wrong[0][place] else "other" if wrong[1][place] else "fixed",
        )
        for place in np.flatnonzero(differ(*given))
    ]
    order: dict[Change, int] = {"broken": 0, "fixed": 1, "other": 2}
    return tuple(sorted(rows, key=lambda row: order[row.change]))
