"""A student beside its teacher on held-out rows, and as a bundle of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import find_base, score, tokenize
from tunesmith.bundles import Bundle
from tunesmith.data import Split
from tunesmith.optimization import StudentParity, StudentTolerances, judge_student
from tunesmith.recipes._calibrate import assure
from tunesmith.recipes._card import make_card
from tunesmith.recipes._choose import Choice
from tunesmith.recipes._distil import Lesson, Student
from tunesmith.recipes._energy import EnergyMeter
from tunesmith.recipes._examine import examine
from tunesmith.recipes._fine_tune import Tuned, decide
from tunesmith.recipes._judge import Judged, examined
from tunesmith.recipes._judging import Judging
from tunesmith.recipes._lineage import Parent, reshaped
from tunesmith.recipes._listener import Listener, Recording
from tunesmith.recipes._model import Model
from tunesmith.recipes._package import make_report, package
from tunesmith.recipes._prepare import PreparedData
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Inputs, Outputs

__all__ = ["Graded", "grade", "write_student"]

_TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class Graded:
    """A student with what was fitted on validation rows for it, and what the gate says.

    Attributes:
        task: as it is served.
    """

    student: Student
    task: Task
    parity: StudentParity


def grade(
    lesson: Lesson,
    student: Student,
    rows: Dataset,
    tolerances: StudentTolerances,
    listener: Listener,
) -> Graded:
    """Calibrates a student anew, and holds it against its teacher on rows that it has not seen."""
    task = _decided(lesson, student, listener)
    listener.stage(f"comparing {student.name} with its teacher", 2 * len(rows))
    judging, scores = _judging(lesson, student, task, rows)
    listener.advance(2 * len(rows))
    metric = task.default_metrics[0]
    change, _ = judging.advantage(student.name)
    teacher, own = (candidate.metrics[metric] for candidate in judging.candidates)
    parity = judge_student(
        (lesson.teacher.task, task),
        (Outputs(scores=scores[0]), Outputs(scores=scores[1])),
        tolerances,
        metric=metric,
        values=(teacher, own),
        change=change,
    )
    return Graded(student, task, parity)


def _decided(lesson: Lesson, student: Student, listener: Listener) -> Task:
    """The student's task, with what can be fitted on validation rows in good faith."""
    plain, rows = reshaped(lesson.teacher.task), lesson.rows
    if not rows.seen_by_teacher:
        return assure(plain, rows.validation, student.validation_scores, lesson.config, listener)
    listener.warn(
        f"the teacher has learned from all labelled rows, so that {student.name} cannot be "
        "calibrated: its probabilities are its own, and it cannot be asked for a precision or a "
        "coverage (a teacher trained with training.refit=never leaves rows for that)"
    )
    return decide(plain, rows.validation, student.validation_scores)


def _judging(
    lesson: Lesson, student: Student, task: Task, rows: Dataset
) -> tuple[Judging, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Both models' figures on the same rows, the teacher first, and their raw scores."""
    settings = lesson.config.evaluation
    judging = Judging(
        task.encode(rows.targets or []), groups=None, confidence=settings.confidence,
        resamples=settings.resamples, seed=lesson.config.seed,
    )  # fmt: skip
    scores = []
    for name, model, own, seconds in (
        (_TEACHER, lesson.model, lesson.teacher.task, 0.0),
        (student.name, student.model, task, student.seconds),
    ):
        scores.append(_scores(model, rows.inputs))
        found = own.probabilities(Outputs(scores=scores[-1]))
        judging.add(name, own, np.asarray(found, dtype=np.float64), seconds)
    return judging, (scores[0], scores[1])


def write_student(
    lesson: Lesson,
    graded: Graded,
    tests: Dataset,
    distillation: dict[str, Any],
    folder: Path,
    meter: EnergyMeter,
    listener: Listener,
) -> Bundle:
    """Writes the student as a bundle of its own, with a report and a card: a child of its teacher.

    Args:
        tests: the rows that its figures are of.
        distillation: what the manifest says of how it came about.

    Raises:
        OutputError: the disk is full, or the folder is taken.
    """
    started, heard = time.monotonic(), Recording(listener)
    student, parent = graded.student, Parent(lesson.teacher, "keep")
    base = replace(find_base(str(lesson.teacher.path)), id=lesson.teacher.manifest.name)
    data = _data(lesson, tests)
    judging, scores = _judging(lesson, student, graded.task, tests)
    advantage, over = judging.advantage(student.name)
    judged = Judged(
        task=graded.task,
        probe_task=lesson.teacher.task,
        candidates=judging.candidates,
        chosen=student.name,
        targets=graded.task.encode(tests.targets or []),
        probabilities=judging.probabilities(student.name),
        scores=scores[1],
        advantage=advantage,
        advantage_over=over,
    )
    tuned = Tuned(
        "full", student.model.classifier, student.validation_scores, student.history,
        student.best_epoch, student.settings, student.seconds, student.out_of_time,
    )  # fmt: skip
    sections = examine(examined(student.model, judged, data, lesson.config), heard)
    seconds = student.seconds + time.monotonic() - started
    choice = Choice(tuned, (), lesson.config)
    report = make_report(
        lesson.config, base, data, student.model, choice, judged, heard.warnings, seconds,
        parent=parent, sections=sections,
    )  # fmt: skip
    report = replace(report, method="distil")
    return package(
        folder, lesson.config, base, data, student.model, judged, report,
        card=make_card(lesson.config, base, data, report, meter),
        parent=parent, distillation=distillation,
    )  # fmt: skip


def _data(lesson: Lesson, tests: Dataset) -> PreparedData:
    """The teacher's data, as the rows of the student's report."""
    known = lesson.teacher.manifest.data
    of_teacher = ("refit_rows", "refit_epochs", "trainings_averaged")
    facts = {name: value for name, value in known.items() if name not in of_teacher}
    note = f"distilled from the bundle {lesson.teacher.version}"
    facts["notes"] = [*known.get("notes", ()), note]
    split = Split(lesson.rows.train, lesson.rows.validation, tests)
    return PreparedData(
        reshaped(lesson.teacher.task), split, f"test rows of the bundle {lesson.teacher.version}",
        facts,
    )  # fmt: skip


def _scores(model: Model, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
    return score(model.classifier, tokenize(model.tokenizer, inputs, model.max_length))
