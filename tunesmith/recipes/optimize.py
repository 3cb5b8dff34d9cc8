"""The fastest runtime of this machine that gives the answers of the trained model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.bases import choose_device
from tunesmith.bundles import Bundle, open_bundle, read_rows
from tunesmith.errors import ConfigError, DataError
from tunesmith.optimization import Parity, Speed, StudentParity, Tolerances
from tunesmith.recipes._contest import (
    Measuring,
    Tried,
    check_names,
    fastest_model,
    require_one,
)
from tunesmith.recipes._distil_folder import check_distilling
from tunesmith.recipes._distilled import Distillation, Students, students_of
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import train_rows_of
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._optimized_bundle import write_optimized
from tunesmith.recipes._parity import TeacherAnswers
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.runtimes import REFERENCE
from tunesmith.storage import make_private, require_empty, require_space
from tunesmith.types import Dataset, Estimate, Inputs

__all__ = ["ModelFigures", "Optimized", "optimize"]

TEACHER = "teacher"
"""What the model that was given is called beside its students."""

_CALIBRATION_ROWS = 256
_FEW_ROWS = 200
_DEFAULT = Tolerances()


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """A teacher, or one of its students, with its best runtime.

    Attributes:
        name: "teacher", or such as "student-3".
        num_parameters: with the embeddings.
        runtime, size_bytes, speed: its best runtime, the bytes of that one's graph (of the weights
            in float32 where it has none), and how fast it is, measured beside the others; None
            where a student was refused, or nothing of it is fast enough.
        metric, value: the leading one, on the rows that answers are compared on.
        parity: how a student compares with its teacher; None for the teacher.
    """

    name: str
    num_layers: int
    num_parameters: int
    metric: str
    value: Estimate
    runtime: str | None
    size_bytes: int | None
    speed: Speed | None
    parity: StudentParity | None

    def as_dict(self) -> dict[str, Any]:
        return {
            **{own.name: getattr(self, own.name) for own in fields(self)},
            "value": self.value.as_dict(),
            "speed": None if self.speed is None else self.speed.as_dict(),
            "parity": None if self.parity is None else self.parity.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Optimized:
    """The new bundle, and what was found on the way.

    Attributes:
        bundle: holds the model as it was, or the student that was chosen, and the runtimes that are
            kept.
        chosen: the first of them.
        parity: name → how its answers compare with the reference's.
        speed: name → how fast it is; the reference is among them.
        reasons: name → why a candidate could not be tried.
        sizes: name → bytes of its graph.
        reference: what the others are compared with.
        model: which model the bundle holds: "teacher" is the one that was given.
        models: the teacher and its students; empty where no student was asked for.
    """

    bundle: Bundle
    chosen: str
    parity: Mapping[str, Parity]
    speed: Mapping[str, Speed]
    reasons: Mapping[str, str]
    sizes: Mapping[str, int]
    reference: str = REFERENCE
    model: str = TEACHER
    models: tuple[ModelFigures, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": str(self.bundle.path),
            "version": self.bundle.version,
            "chosen": self.chosen,
            "parity": {name: own.as_dict() for name, own in self.parity.items()},
            "speed": {name: own.as_dict() for name, own in self.speed.items()},
            "reasons": dict(self.reasons),
            "size_bytes": dict(self.sizes),
            **(
                {"model": self.model, "models": [own.as_dict() for own in self.models]}
                if self.models
                else {}
            ),
        }


def optimize(
    bundle: Bundle | Path | str,
    *,
    output: Path | None = None,
    device: Literal["cpu", "gpu"] = "cpu",
    data: Path | str | None = None,
    latency_ms: float | None = None,
    tolerances: Tolerances = _DEFAULT,
    keep: Sequence[str] = (),
    distil: Distillation | None = None,
    resume: bool = False,
    max_rows: int = 2000,
    rounds: int = 5,
    seed: int = 42,
    listener: Listener | None = None,
) -> Optimized:
    """Writes a bundle that holds the fastest runtime whose answers are those of the trained model.

    Args:
        bundle: a bundle, or its folder.
        output: the new bundle's folder; None: `optimized` beside it.
        device: what to optimise for. With "gpu" torch alone is tried, in float32 and bf16.
        data: labelled rows that the answers are compared on; None: those that the bundle keeps.
        latency_ms: the most that one text may take, at the 95th percentile.
        tolerances: how far answers may be from those of torch in float32.
        keep: further candidates to keep, even such that did not pass; these are not served unless
            that is asked for by name.
        distil: smaller models to teach as well; one that passes its gate, and is faster, is written
            in the place of the model that was given.
        resume: go on with a distillation that was stopped.
        max_rows: how many rows are compared at most.
        rounds: how often each candidate's speed is measured.
        seed: of the choice of rows.

    Raises:
        BundleError: the bundle is missing or was changed.
        ConfigError: there is no GPU, no candidate of a name in `keep`, none within `latency_ms`, or
            no such student.
        DataError: there are no rows to compare answers on, or for a student to learn from.
        OutputError: the output is taken, or the disk is full.
        Interrupted: the user stopped it while a student learned; `resume` goes on.
        TrainingError: a student's loss is not a number any more.
    """
    listener = listener or Silent()
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    final = output or _beside(opened)
    require_empty(final)
    check_distilling(final, distils=distil is not None, resume=resume)
    check_names(keep)
    if device == "gpu" and choose_device().type == "cpu":
        raise ConfigError("there is no GPU on this machine", where="--for gpu")
    rows, calibration = _rows(opened, data, max_rows, seed, listener)
    require_space(final, 8 * sum(file.stat().st_size for file in opened.model_path.iterdir()))
    measuring = Measuring(rows, calibration, tolerances, device, latency_ms, rounds, listener)
    with (
        _work_folder(final) as folder,
        students_of(
            opened, final, folder, distil, rows, tolerances.max_drop, listener, resume=resume
        ) as students,
    ):
        tried = _try_models(opened, students, folder, keep, measuring)
        require_one(tried, latency_ms)
        name, speeds = fastest_model(tried, measuring)
        best = tried[name]
        built = {own.name for own in best.found.built}
        for missing in (one for one in keep if one not in built):
            listener.warn(f"{missing} could not be made of the {name}, and is not kept")
        written = write_optimized(
            best.bundle, final, best.found, best.comparison, best.order, keep, device, tolerances
        )
    return Optimized(
        bundle=written,
        chosen=best.order[0],
        parity=best.comparison.parity,
        speed=best.comparison.speed,
        reasons=best.comparison.reasons,
        sizes=best.comparison.sizes,
        model=name,
        models=() if students is None else _figures(students, tried, speeds),
    )


def _try_models(
    bundle: Bundle,
    students: Students | None,
    folder: Path,
    keep: Sequence[str],
    measuring: Measuring,
) -> dict[str, Tried]:
    """The bundle's model, and the students of it that passed their gate, each with its runtimes."""
    listener = measuring.listener
    passed = [own for own in students.all if own.bundle is not None] if students else []
    if passed:
        listener.say(f"{TEACHER}: runtimes of the model that was given")
    tried = {TEACHER: measuring.try_all(bundle, folder / TEACHER, keep=keep)}
    answers = TeacherAnswers(bundle.task, tried[TEACHER].comparison.answers)
    for own in passed:
        assert own.bundle is not None
        listener.say(f"{own.name}: runtimes of the student of {own.num_layers} layers")
        tried[own.name] = measuring.try_all(own.bundle, folder / own.name, teacher=answers)
    return tried


def _figures(
    students: Students, tried: Mapping[str, Tried], speeds: Mapping[str, Speed]
) -> tuple[ModelFigures, ...]:
    """The teacher and all students, those that were refused too."""

    def figures(
        name: str, layers: int, weights: int, value: Estimate, parity: StudentParity | None
    ) -> ModelFigures:
        own = tried.get(name)
        runtime = own.order[0] if own is not None and own.order else None
        size, speed = None, None
        if own is not None and runtime is not None:
            size = own.comparison.sizes.get(runtime, 4 * weights)
            speed = speeds.get(name, own.comparison.speed[runtime])
        return ModelFigures(
            name, layers, weights, students.all[0].parity.metric, value, runtime, size, speed,
            parity,
        )  # fmt: skip

    first = students.all[0].parity.teacher
    return (
        figures(TEACHER, students.num_layers, students.num_parameters, first, None),
        *(
            figures(own.name, own.num_layers, own.num_parameters, own.parity.student, own.parity)
            for own in students.all
        ),
    )


@contextmanager
def _work_folder(final: Path) -> Iterator[Path]:
    """A folder for graphs on the disk that the bundle goes to; that it can be made is known first.

    Raises:
        OutputError: nothing can be written there.
    """
    folder = final.with_name(f".{final.name}.{os.getpid()}")
    make_private(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(bundle: Bundle) -> Path:
    name = bundle.path.name
    return bundle.path.with_name("optimized" if name == "bundle" else f"{name}-optimized")


def _rows(
    bundle: Bundle, data: Path | str | None, max_rows: int, seed: int, listener: Listener
) -> tuple[Dataset, Sequence[Inputs]]:
    """The rows that answers are compared on, and others that ranges are found on."""
    if data is not None:
        facts, settings = bundle.manifest.data, bundle.manifest.config["data"]
        rows = dataset_for(
            bundle.task,
            str(data),
            target=facts["target"],
            drop_missing=True,
            separator=settings["label_separator"],
        )[0].dataset
    elif (held_out := bundle.held_out()) is not None:
        rows = held_out
    else:
        raise DataError(
            "the bundle keeps no test rows to compare answers on",
            where=str(bundle.path),
            mend="give labelled rows with --data",
        )
    rows = rows.take(stratified_sample(rows, max_rows + _CALIBRATION_ROWS, seed))
    calibration = _training_rows(bundle, seed)
    if calibration is None:  # a fifth of the rows, which are then not compared
        order = np.random.default_rng(seed).permutation(len(rows))
        few = min(len(rows) // 5, _CALIBRATION_ROWS)
        calibration, rows = rows.take(order[:few]), rows.take(np.sort(order[few:]))
    rows = rows.take(stratified_sample(rows, max_rows, seed))
    if len(rows) < _FEW_ROWS:
        listener.warn(
            f"{len(rows):,} rows are few to compare answers on: give more with --data to be sure"
        )
    return rows, list(calibration.inputs)


def _training_rows(bundle: Bundle, seed: int) -> Dataset | None:
    """Some rows that the bundle was trained on, where its run still keeps them beside it."""
    facts = bundle.manifest.data
    try:
        rows = read_rows(train_rows_of(bundle), facts["text"], facts["target"])
    except DataError:  # not there, or another user's: other rows will do
        return None
    return rows.take(stratified_sample(rows, _CALIBRATION_ROWS, seed))
