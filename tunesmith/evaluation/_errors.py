"""What a model's mistakes have in common, and which of them may be the label's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import counted, redacted
from tunesmith.evaluation._answers import answers_of
from tunesmith.evaluation._clusters import cluster_texts
from tunesmith.evaluation._doubtful import doubtful_labels
from tunesmith.evaluation._outcomes import is_multi_label
from tunesmith.evaluation._slices import row_texts
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Target

__all__ = ["Confusion", "DoubtfulLabel", "ErrorCluster", "ErrorExample", "Errors", "judge_errors"]

_MOST_MISTAKES, _MOST_KNOWN = 2_000, 50_000
_EXAMPLES = 3
_CONFUSIONS = 3
_MOST_CHARACTERS = 300
_ROWS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often one label was taken for another.

    Attributes:
        target: the true label; "" where a row with several labels was given one too many.
        predicted: what it was taken for; "" where one of several labels was missed.
        count: how many rows.
    """

    target: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class ErrorExample:
    """A mistake: its row in the source, numbered from 1, and its text, without personal data."""

    row: int
    text: str
    target: Target
    predicted: Target


@dataclass(frozen=True, slots=True)
class ErrorCluster:
    """Mistakes whose texts share words.

    Attributes:
        words: what is much oftener in them than in the other mistakes.
        num_rows: how many mistakes.
        confusions: what was taken for what, the commonest first, three at most.
        examples: those nearest to the middle.
    """

    words: tuple[str, ...]
    num_rows: int
    confusions: tuple[Confusion, ...]
    examples: tuple[ErrorExample, ...]


@dataclass(frozen=True, slots=True)
class DoubtfulLabel:
    """A test row whose label is likely wrong.

    Attributes:
        row: its row in the source, numbered from 1.
        label: as the file has it.
        suggested: what the model and the training rows most like it say.
        probability: how sure the model is of that.
        votes: how much of the likeness to the nearest training rows is to rows with that label.
    """

    row: int
    label: str
    suggested: str
    probability: float
    votes: float


@dataclass(frozen=True, slots=True)
class Errors:
    """The report's section on mistakes.

    Attributes:
        num_mistakes: rows whose answer is not entirely right.
        num_rows: all test rows.
        clusters: the largest first; empty for few mistakes.
        doubtful: labels that are likely wrong, those first of which the model is surest.
    """

    num_mistakes: int
    num_rows: int
    clusters: tuple[ErrorCluster, ...]
    doubtful: tuple[DoubtfulLabel, ...]

    @property
    def name(self) -> str:
        return "errors"

    @property
    def template(self) -> str:
        return "errors.html"

    def view(self) -> Mapping[str, Any]:
        return {
            "num_mistakes": self.num_mistakes,
            "num_rows": self.num_rows,
            "clusters": self.clusters,
            "doubtful": {one.row: one for one in self.doubtful},
        }

    def sentences(self) -> tuple[str, ...]:
        if not self.doubtful:
            return ()
        rows = ", ".join(f"{one.row:,}" for one in self.doubtful[:_ROWS_NAMED])
        more = " …" if len(self.doubtful) > _ROWS_NAMED else ""
        of_all = f"of {counted(self.num_mistakes, 'mistake', 'mistakes')}"
        what = counted(
            len(self.doubtful), f"{of_all} may be a wrong label", f"{of_all} may be wrong labels"
        )
        named = "row" if len(self.doubtful) == 1 else "rows"
        return (f"{what} of the test rows: {named} {rows}{more}",)

    def as_dict(self) -> Mapping[str, Any]:
        return {
            "num_mistakes": self.num_mistakes,
            "num_rows": self.num_rows,
            "clusters": [
                {
                    "words": list(one.words),
                    "num_rows": one.num_rows,
                    "confusions": [_values(own) for own in one.confusions],
                    "examples": [_values(own) for own in one.examples],
                }
                for one in self.clusters
            ],
            "doubtful": [_values(one) for one in self.doubtful],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Errors:
        """What `as_dict` described."""
        clusters = tuple(
            ErrorCluster(
                tuple(one["words"]),
                one["num_rows"],
                tuple(Confusion(**own) for own in one["confusions"]),
                tuple(
                    ErrorExample(**{name: _tuple(value) for name, value in own.items()})
                    for own in one["examples"]
                ),
            )
            for one in saved["clusters"]
        )
        doubtful = tuple(DoubtfulLabel(**one) for one in saved["doubtful"])
        return cls(saved["num_mistakes"], saved["num_rows"], clusters, doubtful)


def judge_errors(
    task: Task,
    dataset: Dataset,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    *,
    known: Dataset | None = None,
    seed: int = 0,
) -> Errors | None:
    """Puts mistakes in clusters by their words, and marks labels that are likely wrong.

    Args:
        dataset: the n rows that `targets` and `probabilities` belong to, with their targets.
        known: the training rows, which tell of a label whether it is wrong; where they are not at
            hand, or rows have several labels, none is marked.

    Returns:
        None where there is no mistake.
    """
    answers = answers_of(task, probabilities)
    wanted = answers_of(task, _certain(task, targets))
    wrong = [place for place, own in enumerate(answers) if own != wanted[place]]
    if not wrong:
        return None
    texts = row_texts(dataset)
    looked_at = wrong[:: max(1, -(-len(wrong) // _MOST_MISTAKES))]
    clusters = [
        ErrorCluster(
            tuple(redacted(word) for word in cluster.words),
            len(cluster.places),
            _confusions([(wanted[looked_at[i]], answers[looked_at[i]]) for i in cluster.places]),
            tuple(
                ErrorExample(
                    int(dataset.rows[place]),
                    redacted(texts[place])[:_MOST_CHARACTERS],
                    wanted[place],
                    answers[place],
                )
                for place in (looked_at[i] for i in cluster.places[:_EXAMPLES])
            ),
        )
        for cluster in cluster_texts([texts[place] for place in looked_at], seed)
    ]
    doubtful = _doubtful(task, dataset, targets, probabilities, texts, known)
    return Errors(len(wrong), len(dataset), tuple(clusters), doubtful)


def _certain(task: Task, targets: NDArray[Any]) -> NDArray[np.float64]:
    """The targets as the probabilities of a model that is sure of them."""
    if is_multi_label(task):
        return np.asarray(targets, dtype=np.float64)
    return np.asarray(np.eye(len(task.labels))[targets], dtype=np.float64)


def _confusions(pairs: Sequence[tuple[Target, Target]]) -> tuple[Confusion, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    for target, answer in pairs:
        if isinstance(target, str) and isinstance(answer, str):
            counts[target, answer] += 1
        else:
            counts.update((label, "") for label in target if label not in answer)
            counts.update(("", label) for label in answer if label not in target)
    return tuple(Confusion(*pair, count) for pair, count in counts.most_common(_CONFUSIONS))


def _doubtful(
    task: Task,
    dataset: Dataset,
    targets: NDArray[Any],
    probabilities: NDArray[np.float64],
    texts: Sequence[str],
    known: Dataset | None,
) -> tuple[DoubtfulLabel, ...]:
    if is_multi_label(task) or known is None or not known.targets:
        return ()
    # Of a million training rows only some become texts of Python.
    judges = known.take(np.arange(0, len(known), max(1, -(-len(known) // _MOST_KNOWN))))
    found = doubtful_labels(
        targets, probabilities, texts, row_texts(judges), task.encode(judges.targets or [])
    )
    return tuple(
        DoubtfulLabel(
            int(dataset.rows[one.place]),
            task.labels[int(targets[one.place])],
            task.labels[one.suggested],
            float(probabilities[one.place, one.suggested]),
            one.votes,
        )
        for one in found
    )


def _values(one: Any) -> dict[str, Any]:
    own = {entry.name: getattr(one, entry.name) for entry in fields(one)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
