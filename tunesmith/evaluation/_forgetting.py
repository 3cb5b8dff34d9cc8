"""What a model that was trained further still does of what its parent could do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation._evaluate import evaluate
from tunesmith.evaluation._headline import forgetting_sentence
from tunesmith.evaluation._paired import paired_difference
from tunesmith.evaluation._saved import metrics_from_dict
from tunesmith.tasks import MultiLabelClassification, Task, TextClassification
from tunesmith.types import Estimate, Metrics, Target

__all__ = ["Answers", "Forgetting", "LabelChange", "judge_forgetting"]


@dataclass(frozen=True, slots=True)
class Answers:
    """A model's task (its labels, its thresholds) and its probabilities, float64 [n, labels]."""

    task: Task
    probabilities: NDArray[np.float64]

    def over(self, labels: tuple[str, ...]) -> Answers:
        """The same over other labels: one that the model does not have is never likely."""
        task = self.task
        own = {label: place for place, label in enumerate(task.labels)}
        probabilities = np.zeros((len(self.probabilities), len(labels)))
        for place, label in enumerate(labels):
            if label in own:
                probabilities[:, place] = self.probabilities[:, own[label]]
        if isinstance(task, MultiLabelClassification):
            known = dict(zip(task.labels, task.thresholds, strict=False))
            thresholds = tuple(known.get(label, 0.5) for label in labels)
            return Answers(replace(task, labels=labels, thresholds=thresholds), probabilities)
        assert isinstance(task, TextClassification)
        return Answers(replace(task, labels=labels), probabilities)


@dataclass(frozen=True, slots=True)
class LabelChange:
    """How many of a label's `support` rows the parent got right, and how many its child does."""

    label: str
    support: int
    before: Estimate
    after: Estimate

    @property
    def change(self) -> float:
        """The share of the rows that was gained, negative where it was lost."""
        return self.after.value - self.before.value


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Parent and child on the same rows: test rows of the parent, which neither was trained on.

    Attributes:
        parent: the parent's version.
        metric: the metric that leads.
        before: the parent's figures.
        after: the child's.
        change: the leading metric's `after` - `before`, paired row by row.
        num_left_out: rows that the parent keeps and that were not judged, since they are training
            rows now, or have labels that the child does not have.
        num_replayed: the parent's training rows that were mixed into the child's.
    """

    parent: str
    metric: str
    before: Metrics
    after: Metrics
    change: Estimate
    num_left_out: int = 0
    num_replayed: int = 0

    @property
    def labels(self) -> tuple[LabelChange, ...]:
        """The labels that have rows, the surest loss first.

        They are ordered by the gap between the lowest share that the parent may have and the
        highest that the child may have: of two rows one is soon lost by chance.
        """
        changes = [
            LabelChange(label, own.support, own.recall, after)
            for label, own in self.before.labels.items()
            if own.recall is not None and (after := self.after.labels[label].recall) is not None
        ]
        return tuple(sorted(changes, key=lambda one: one.after.high - one.before.low))

    def sentence(self) -> str:
        """What became of the leading metric, in one sentence."""
        return forgetting_sentence(
            metric=self.metric,
            before=self.before[self.metric].value,
            after=self.after[self.metric].value,
            change=self.change,
            num_rows=self.before.num_examples,
            num_left_out=self.num_left_out,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "parent": self.parent,
            "metric": self.metric,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "change": self.change.as_dict(),
            "num_left_out": self.num_left_out,
            "num_replayed": self.num_replayed,
        }

    def summary(self) -> dict[str, Any]:
        """`as_dict` with the leading metric's figures alone."""
        lead = {
            "before": self.before[self.metric].as_dict(),
            "after": self.after[self.metric].as_dict(),
            "num_examples": self.before.num_examples,
        }
        return {**self.as_dict(), **lead}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Forgetting:
        """What `as_dict` described."""
        return cls(
            **{
                **saved,
                "before": metrics_from_dict(saved["before"]),
                "after": metrics_from_dict(saved["after"]),
                "change": Estimate.from_dict(saved["change"]),
            }
        )


def judge_forgetting(
    targets: Sequence[Target],
    before: Answers,
    after: Answers,
    *,
    parent: str,
    num_left_out: int = 0,
    num_replayed: int = 0,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Forgetting:
    """Judges parent and child on n rows of the parent's.

    For one label a row the child may err into labels that the parent did not have, and all labels
    of both are compared. For several labels a row only those that both have are.

    Args:
        targets: n targets; the child has all of their labels.
        before: the parent's answers.
        after: the child's, of the same kind of task.
        parent: the parent's version.
        confidence, resamples, seed: of the intervals; see `evaluate`.

    Raises:
        DataError: there are no rows.
    """
    labels = _common_labels(before.task, after.task)
    old, new = before.over(labels), after.over(labels)
    encoded = new.task.encode(targets)
    lead = new.task.default_metrics[0]
    options: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    return Forgetting(
        parent=parent,
        metric=lead,
        before=evaluate(old.task, encoded, old.probabilities, **options),
        after=evaluate(new.task, encoded, new.probabilities, **options),
        change=paired_difference(
            new.task,
            encoded,
            new.probabilities,
            old.probabilities,
            metric=lead,
            task_b=old.task,
            **options,
        ),
        num_left_out=num_left_out,
        num_replayed=num_replayed,
    )


def _common_labels(before: Task, after: Task) -> tuple[str, ...]:
    assert before.name == after.name
    if isinstance(after, MultiLabelClassification):
        return tuple(label for label in before.labels if label in after.labels)
    return (*after.labels, *(label for label in before.labels if label not in after.labels))
