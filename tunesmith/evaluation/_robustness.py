"""Whether a model keeps to its answer where a text changes in a way that should not matter.

Invariance tests in CheckList's manner (Ribeiro, Wu, Guestrin and Singh, "Beyond Accuracy:
Behavioral Testing of NLP Models with CheckList", ACL 2020). No labels are needed: the model's own
answer to the text as it is is what should stay.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import redacted
from tunesmith.evaluation._answers import answers_of
from tunesmith.evaluation._figures import interval_bars
from tunesmith.evaluation._headline import figure, span
from tunesmith.evaluation._intervals import rate_estimate
from tunesmith.evaluation._outcomes import decide, is_multi_label
from tunesmith.evaluation._perturbations import PERTURBATIONS, Perturbation
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Estimate, Inputs, Outputs, Target

__all__ = ["Broken", "InvarianceTest", "Robustness", "judge_robustness"]

_FEWEST_ROWS = 5
_LEAST_ROWS = 20
_MOST_TEXT = 60_000  # characters; so that nine tests take seconds
_EXAMPLES = 5
_MOST_CHARACTERS = 500
_SENTENCES = 2
_WORTH_SAYING = 0.95


@dataclass(frozen=True, slots=True)
class Broken:
    """A row whose answer a change of its text has changed.

    Attributes:
        row: the row in its source, numbered from 1.
        before, after: the texts, without personal data, cut after 500 characters.
        answer, answer_after: what the model says to them.
        change: how much less likely it holds its first answer then.
    """

    row: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    answer: Target
    answer_after: Target
    change: float


@dataclass(frozen=True, slots=True)
class InvarianceTest:
    """One kind of change.

    Attributes:
        name: what was changed, such as "typos".
        kept: share of the rows that have the same answer after it.
        num_rows: rows whose texts the change fits.
        mean_change: by how much the probability of the first answer moves, on average; for several
            labels a row the mean over all labels.
        broken: the rows with the largest change among those whose answer is another one.
    """

    name: str
    kept: Estimate
    num_rows: int
    mean_change: float
    broken: tuple[Broken, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kept": self.kept.as_dict(),
            "num_rows": self.num_rows,
            "mean_change": self.mean_change,
            "broken": [
                {entry.name: getattr(one, entry.name) for entry in fields(Broken)}
                for one in self.broken
            ],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> InvarianceTest:
        """What `as_dict` described."""
        broken = [{name: _tuple(value) for name, value in one.items()} for one in saved["broken"]]
        own = {
            "kept": Estimate.from_dict(saved["kept"]),
            "broken": tuple(Broken(**one) for one in broken),
        }
        return cls(**{**saved, **own})


@dataclass(frozen=True, slots=True)
class Robustness:
    """The report's section on robustness.

    Attributes:
        checks: one a change, in the order they were made.
        num_rows: test rows that were drawn for it.
    """

    checks: tuple[InvarianceTest, ...]
    num_rows: int

    @property
    def name(self) -> str:
        return "robustness"

    @property
    def template(self) -> str:
        return "robustness.html"

    def view(self) -> Mapping[str, Any]:
        bars, axis = interval_bars([one.kept for one in self.checks], axis=(0.0, 1.0))
        return {
            "checks": list(zip(self.checks, bars, strict=True)),
            "axis": axis,
            "num_rows": self.num_rows,
        }

    def sentences(self) -> tuple[str, ...]:
        weak = sorted(self.checks, key=lambda one: one.kept.high)[:_SENTENCES]
        told = [
            f"{one.name} {figure('accuracy', one.kept.value)} ({span('accuracy', one.kept)})"
            for one in weak
            if one.kept.value < _WORTH_SAYING
        ]
        return (f"answers kept after changes that should not matter: {'; '.join(told)}",) * bool(
            told
        )

    def as_dict(self) -> Mapping[str, Any]:
        return {"checks": [one.as_dict() for one in self.checks], "num_rows": self.num_rows}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Robustness:
        """What `as_dict` described."""
        checks = tuple(InvarianceTest.from_dict(one) for one in saved["checks"])
        return cls(checks, saved["num_rows"])


def judge_robustness(
    task: Task,
    dataset: Dataset,
    scores: NDArray[np.float32],
    ask: Callable[[Sequence[Inputs]], NDArray[np.float32]],
    *,
    perturbations: Mapping[str, Perturbation] = PERTURBATIONS,
    max_rows: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
    on_check: Callable[[], None] = lambda: None,
) -> Robustness | None:
    """Changes texts and asks the model again.

    Args:
        dataset: n rows, of which at most `max_rows` are drawn, and of long texts fewer.
        scores: the model's raw scores for them, float32 [n, labels].
        ask: the model's raw scores for other inputs.
        perturbations: name → what is done to each text; one's own may stand beside ours.
        on_check: called after each kind of change.

    Returns:
        None where no change fits five of the rows.
    """
    rows = _drawn(dataset, max_rows, seed)
    checks = []
    for name, perturbation in perturbations.items():
        # Seeded by name and row: one more test, or one more row, leaves the others as they are.
        changed = [
            _changed(dataset[row].inputs, perturbation, random.Random(f"{seed} {name} {row}"))  # noqa: S311
            for row in rows
        ]
        fitting = [i for i, own in enumerate(changed) if own != dataset[rows[i]].inputs]
        if len(fitting) >= _FEWEST_ROWS:
            own = [rows[i] for i in fitting]
            texts = [changed[i] for i in fitting]
            before, after = (
                task.probabilities(Outputs(scores=part)) for part in (scores[own], ask(texts))
            )
            checks.append(_judge(name, task, dataset.take(own), texts, before, after, confidence))
        on_check()
    return Robustness(tuple(checks), len(rows)) if checks else None


def _drawn(dataset: Dataset, max_rows: int, seed: int) -> list[int]:
    """Places of some rows, drawn by `seed`, fewer where texts are long."""
    order = np.random.default_rng(seed).permutation(len(dataset))[:max_rows].tolist()
    lengths = [sum(map(len, _texts(dataset[row].inputs))) for row in order]
    fitting = int((np.cumsum(lengths) <= _MOST_TEXT).sum())
    return sorted(order[: max(fitting, _LEAST_ROWS)])


def _changed(inputs: Inputs, perturbation: Perturbation, chance: random.Random) -> Inputs:
    return tuple(
        perturbation(value, chance) if isinstance(value, str) else value for value in inputs
    )


def _judge(
    name: str,
    task: Task,
    dataset: Dataset,
    texts: Sequence[Inputs],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    confidence: float,
) -> InvarianceTest:
    first, second = decide(task, before), decide(task, after)
    if is_multi_label(task):
        same = (first == second).all(axis=1)
        moved = np.abs(before - after).mean(axis=1)
        lost = np.where(first != second, np.abs(before - after), 0.0).max(axis=1)
    else:
        places = np.arange(len(first))
        same = first == second
        lost = before[places, first] - after[places, first]
        moved = np.abs(lost)
    answers, answers_after = answers_of(task, before), answers_of(task, after)
    worst = [place for place in np.argsort(-lost, kind="stable").tolist() if not same[place]]
    return InvarianceTest(
        name,
        rate_estimate(float(same.sum()), len(same), confidence),
        len(same),
        float(moved.mean()),
        tuple(
            Broken(
                row=int(dataset.rows[place]),
                before=_shown(dataset[place].inputs),
                after=_shown(texts[place]),
                answer=answers[place],
                answer_after=answers_after[place],
                change=float(lost[place]),
            )
            for place in worst[:_EXAMPLES]
        ),
    )


def _shown(inputs: Inputs) -> tuple[str, ...]:
    # Masked before it is cut: half an address would not be known for one.
    return tuple(redacted(one)[:_MOST_CHARACTERS] for one in _texts(inputs))


def _texts(inputs: Inputs) -> list[str]:
    return [value for value in inputs if isinstance(value, str)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
