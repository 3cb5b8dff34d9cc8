"""The distillation gate: whether a smaller model may stand in for the one that taught it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from tunesmith.errors import ConfigError
from tunesmith.optimization._parity import agreement
from tunesmith.tasks import Task
from tunesmith.types import Estimate, Outputs

__all__ = ["StudentParity", "StudentTolerances", "judge_student"]


@dataclass(frozen=True, slots=True)
class StudentTolerances:
    """How far a student may be from its teacher.

    A student is a model of its own: its probabilities are calibrated anew, and it may be right
    where its teacher is wrong. So they are reported and not limited, and labels may differ more
    than between two runtimes of one model.

    Attributes:
        max_drop: of the leading metric, in points of a hundred.
        min_agreement: see `Tolerances`.
    """

    max_drop: float = 0.3
    min_agreement: float = 0.9

    def __post_init__(self) -> None:
        for name, most in (("max_drop", 100.0), ("min_agreement", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ConfigError(f"must be between 0 and {most:g}, and is {value:g}", where=name)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StudentParity:
    """How a student's answers compare with its teacher's on n held-out rows, both in float32.

    Attributes:
        agreement, largest_difference, mean_difference: see `Tolerances`; of the probabilities that
            each of them would be served with.
        metric: the leading one.
        teacher, student: its value, with its interval.
        change: the student's less the teacher's, paired row by row, as a share.
        refused_for: what is out of tolerance, each with its figure; empty where the gate is passed.
    """

    num_rows: int
    agreement: float
    largest_difference: float
    mean_difference: float
    metric: str
    teacher: Estimate
    student: Estimate
    change: Estimate
    refused_for: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether the student may stand in for its teacher."""
        return not self.refused_for

    def as_dict(self) -> dict[str, Any]:
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            **{name: getattr(self, name).as_dict() for name in ("teacher", "student", "change")},
            "refused_for": list(self.refused_for),
        }


def judge_student(
    tasks: tuple[Task, Task],
    outputs: tuple[Outputs, Outputs],
    tolerances: StudentTolerances,
    *,
    metric: str,
    values: tuple[Estimate, Estimate],
    change: Estimate,
) -> StudentParity:
    """Compares a student with its teacher on the same n rows; each pair is teacher, student.

    Args:
        tasks: each with its own calibration and decision rule.
        outputs: of torch in float32.
        metric, values, change: see `StudentParity`; `metric` is one of which more is better.
    """
    wanted, found = (
        np.asarray(task.probabilities(own)) for task, own in zip(tasks, outputs, strict=True)
    )
    gaps = np.abs(found - wanted).max(axis=1)
    same = agreement(tasks[0].decode(outputs[0]), tasks[1].decode(outputs[1]))
    drop = -100 * change.value
    faults = []
    if not drop <= tolerances.max_drop:
        name = metric.replace("_", "-")
        faults.append(f"drops by {drop:.2f} points of {name}, more than {tolerances.max_drop:g}")
    if not same >= tolerances.min_agreement:
        faults.append(f"agrees on {same:.1%} of the rows, not {tolerances.min_agreement:.1%}")
    return StudentParity(
        num_rows=len(wanted),
        agreement=same,
        largest_difference=float(gaps.max()),
        mean_difference=float(gaps.mean()),
        metric=metric,
        teacher=values[0],
        student=values[1],
        change=change,
        refused_for=tuple(faults),
    )
