"""Students of a bundle, each held against its teacher: those that pass go on to be optimised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.bases import layers_of
from tunesmith.bundles import Bundle
from tunesmith.config import RunConfig
from tunesmith.data import fingerprint
from tunesmith.errors import ConfigError, Fault
from tunesmith.optimization import StudentParity, StudentTolerances
from tunesmith.recipes._distil import Lesson, make_lesson, open_teacher, teach, teacher_config
from tunesmith.recipes._distil_folder import distilling_folder
from tunesmith.recipes._distil_rows import DistilRows, distil_rows
from tunesmith.recipes._energy import EnergyMeter
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import Model
from tunesmith.recipes._student_bundle import Graded, grade, write_student
from tunesmith.storage import require_space
from tunesmith.types import Dataset

__all__ = ["Distillation", "DistilledStudent", "Students", "students_of"]

_BYTES_A_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Distillation:
    """What students are asked for.

    Attributes:
        layers: how many each of them has; none named: one student of half the teacher's.
        data: further texts to learn from, with or without labels.
        budget_s: about how long the training of all of them may take.
        min_agreement: share of rows on which a student must give its teacher's label.
    """

    layers: tuple[int, ...] = ()
    data: Path | str | None = None
    budget_s: float | None = None
    min_agreement: float = 0.9

    def __post_init__(self) -> None:
        if self.budget_s is not None and not self.budget_s > 0:
            raise ConfigError(f"must be above 0, not {self.budget_s:g}", where="--distil-budget")


@dataclass(frozen=True, slots=True)
class DistilledStudent:
    """A student that was trained.

    Attributes:
        bundle: None where it did not pass the gate.
        num_parameters: with the embeddings.
    """

    name: str
    num_layers: int
    num_parameters: int
    parity: StudentParity
    bundle: Bundle | None


@dataclass(frozen=True, slots=True)
class Students:
    """A teacher's students, and what the teacher is beside them."""

    num_layers: int
    num_parameters: int
    all: tuple[DistilledStudent, ...]


@contextmanager
def students_of(
    teacher: Bundle,
    output: Path,
    work: Path,
    wanted: Distillation | None,
    rows: Dataset,
    max_drop: float,
    listener: Listener,
    *,
    resume: bool,
) -> Iterator[Students | None]:
    """Trains and judges the students; what they learned is gone once the block ends well.

    Args:
        output: what is being made; the students learn in a folder beside it.
        work: gets their bundles.
        wanted: None: no students.
        rows: held-out rows that the gate compares on.
        max_drop: points that the leading metric may drop by.

    Raises:
        ConfigError: the base has not so many layers, or none can be left out.
        DataError: there are no rows to learn from.
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    if wanted is None:
        yield None
        return
    tolerances = StudentTolerances(max_drop, wanted.min_agreement)
    meter, config = EnergyMeter(), teacher_config(teacher)
    model = open_teacher(teacher, config, listener)
    sizes = _sizes(wanted.layers, len(layers_of(model.classifier)))
    held_out = teacher.held_out()
    tests = rows if held_out is None else held_out
    learned = distil_rows(teacher, wanted.data, [rows, tests], config.seed, listener)
    require_space(output, _space_needed(model, config, len(sizes)))
    journal = {
        "teacher": teacher.manifest.digest,
        "layers": list(sizes),
        "rows": _fingerprint(learned),
        "budget_s": wanted.budget_s,
    }
    with distilling_folder(output, journal, resume=resume) as folder:
        lesson = make_lesson(teacher, config, model, learned, listener)
        share = None if wanted.budget_s is None else wanted.budget_s / len(sizes)
        found = []
        for size in sizes:
            student = teach(
                lesson, size, folder / f"student-{size}", listener, resume=resume, budget_s=share
            )
            graded = grade(lesson, student, rows, tolerances, listener)
            found.append(_student(lesson, graded, tests, tolerances, work, meter, listener))
        own = Students(len(layers_of(model.classifier)), _num_weights(model), tuple(found))
        del lesson, model, student, graded  # teacher and students need the memory no more
        yield own


def _student(
    lesson: Lesson,
    graded: Graded,
    tests: Dataset,
    tolerances: StudentTolerances,
    work: Path,
    meter: EnergyMeter,
    listener: Listener,
) -> DistilledStudent:
    """The student, as a bundle where it passed the gate."""
    student, parity = graded.student, graded.parity
    bundle = None
    if parity.verified:
        facts = {
            "teacher": lesson.teacher.manifest.digest,
            "layers": [place + 1 for place in student.layers],
            "of_layers": len(layers_of(lesson.model.classifier)),
            "rows": dict(lesson.rows.facts),
            "temperature": lesson.criterion.temperature,
            "epochs": student.best_epoch,
            "parity": parity.as_dict(),
            "tolerances": tolerances.as_dict(),
        }
        listener.stage(f"judging {student.name}")
        bundle = write_student(
            lesson, graded, tests, facts, work / student.name / "bundle", meter, listener
        )
    else:
        listener.warn(f"{student.name} is refused: {'; '.join(parity.refused_for)}")
    return DistilledStudent(
        student.name, len(student.layers), _num_weights(student.model), parity, bundle
    )


def _sizes(asked: Sequence[int], num_layers: int) -> tuple[int, ...]:
    """How many layers each student has, the larger ones first.

    Raises:
        ConfigError: the teacher has not more.
    """
    if num_layers == 1:
        raise ConfigError(
            "the base has a single layer, so that there is none to leave out", where="--distil"
        )
    wrong = sorted({size for size in asked if not 1 <= size < num_layers})
    if wrong:
        raise ConfigError.of(
            Fault(
                f"a student of {size} layers of {num_layers} is not smaller"
                if size >= num_layers
                else f"a student needs a layer at least, not {size}",
                "--distil-layers",
                f"1 to {num_layers - 1}",
            )
            for size in wrong
        )
    return tuple(sorted(set(asked), reverse=True)) or (num_layers // 2,)


def _fingerprint(rows: DistilRows) -> list[str]:
    parts = (rows.train, replace(rows.unlabelled, targets=None), rows.validation)
    return [fingerprint(part) for part in parts]


def _space_needed(model: Model, config: RunConfig, num_students: int) -> int:
    """About the most that is written for students: each, its parts, and checkpoints of one."""
    size = _BYTES_A_WEIGHT * _num_weights(model)
    return size * (3 * num_students + 5 * (config.training.checkpoints_kept + 1))


def _num_weights(model: Model) -> int:
    return sum(parameter.numel() for parameter in model.classifier.parameters())
