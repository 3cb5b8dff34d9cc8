"""A student of fewer layers, taught by the model that the layers are from."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith import storage
from tunesmith.bases import (
    Classifier,
    TokenizedDataset,
    choose_device,
    choose_precision,
    layers_of,
    load_classifier,
    load_tokenizer,
    score,
    score_features,
    set_threads,
    spread_layers,
    tokenize,
    train_only,
    with_layers,
)
from tunesmith.bundles import Bundle
from tunesmith.config import RunConfig
from tunesmith.recipes._distil_rows import DistilRows
from tunesmith.recipes._fine_tune import fit_settings, judge_of
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import Model
from tunesmith.recipes._plan import SPARE, TRAINING_COSTS
from tunesmith.training import Checkpoints, EpochRecord, FitSettings, Rows, fit
from tunesmith.training.criteria import Distilled, lessons

__all__ = ["Lesson", "Student", "make_lesson", "open_teacher", "teach", "teacher_config"]

_ROWS_TO_SEE, _EPOCHS = 60_000, (3, 20)
_TRIAL_ROWS = 8
_KEPT_SETTINGS = (
    *("batch_size", "max_tokens", "precision", "threads", "gradient_checkpointing"),
    *("checkpoint_interval_s", "checkpoints_kept"),
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What every student is taught.

    Attributes:
        model: the teacher's, in float32.
        tokens: of the n rows that are learned from, labelled ones first.
        taught: see `lessons`; float32, n rows.
        rows_per_second: of the teacher, without training.
    """

    teacher: Bundle
    config: RunConfig
    model: Model
    rows: DistilRows
    tokens: TokenizedDataset
    validation: TokenizedDataset
    taught: NDArray[np.float32]
    criterion: Distilled
    rows_per_second: float


@dataclass(frozen=True, slots=True)
class Student:
    """A trained student, and how it came about.

    Attributes:
        layers: places of its layers among the teacher's.
        validation_scores: float32 [n, labels].
    """

    layers: tuple[int, ...]
    model: Model
    validation_scores: NDArray[np.float32]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    settings: FitSettings
    seconds: float
    out_of_time: bool

    @property
    def name(self) -> str:
        return f"student-{len(self.layers)}"


def teacher_config(bundle: Bundle) -> RunConfig:
    """The settings that students are trained with: of the teacher's, those of no single method.

    Columns beside text and label are not kept with the rows, so nothing is looked into by them.
    """
    known: dict[str, Any] = {}
    for name in ("data", "evaluation", "card"):
        fields = type(getattr(RunConfig(), name)).model_fields
        given = bundle.manifest.config.get(name) or {}
        known[name] = {key: value for key, value in given.items() if key in fields}
    known["evaluation"] |= {"slices": (), "fairness": None}
    trained = bundle.manifest.config.get("training") or {}
    kept = {key: trained[key] for key in _KEPT_SETTINGS if key in trained}
    facts = bundle.manifest.base
    return RunConfig.model_validate(
        {
            **known,
            "base": {"id": facts.id, "pooling": facts.pooling, "max_length": facts.max_length},
            "training": {**kept, "method": "full"},
            "seed": bundle.manifest.config.get("seed", RunConfig().seed),
        }
    )


def open_teacher(bundle: Bundle, config: RunConfig, listener: Listener) -> Model:
    """The teacher with its tokenizer, in float32 on the fastest device.

    Raises:
        BaseModelError, BundleError: it cannot be opened.
    """
    facts = bundle.manifest.base
    set_threads(config.training.threads)
    device = choose_device()
    precision, why = choose_precision(config.training.precision, device)
    listener.say(f"distillation in {precision} on {device}: {why}")
    classifier = load_classifier(
        bundle.model_path, facts.pooling, bundle.task.head.size, adapter=bundle.adapter_path
    ).to(device)
    tokenizer = load_tokenizer(bundle.model_path)
    return Model(classifier, tokenizer, facts.pooling, facts.max_length, precision)


def make_lesson(
    teacher: Bundle, config: RunConfig, model: Model, rows: DistilRows, listener: Listener
) -> Lesson:
    """Asks the teacher for all rows, once for all students and epochs."""
    inputs = [*rows.train.inputs, *rows.unlabelled.inputs]
    tokens, validation = (
        tokenize(model.tokenizer, own, model.max_length) for own in (inputs, rows.validation.inputs)
    )
    listener.stage(f"asking the teacher of {len(inputs):,} rows")
    started = time.monotonic()
    scores, states = score_features(model.classifier.at(model.precision), tokens)
    rate = len(inputs) / max(time.monotonic() - started, 1e-9)
    task = teacher.task
    taught = lessons(task.objective, scores, states, task.encode(rows.train.targets or []))
    criterion = Distilled(task.objective, task.head.size)
    return Lesson(teacher, config, model, rows, tokens, validation, taught, criterion, rate)


def teach(
    lesson: Lesson,
    num_layers: int,
    folder: Path,
    listener: Listener,
    *,
    resume: bool,
    budget_s: float | None,
) -> Student:
    """Trains a student of so many of the teacher's layers, or goes on with one.

    Args:
        folder: the student's own; a student that is trained stays there.
        budget_s: about how long it may take.

    Raises:
        ConfigError: the family's layers cannot be left out.
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    whole = layers_of(lesson.model.classifier)
    layers = spread_layers(len(whole), num_layers)
    settings = _settings(lesson, num_layers / len(whole), folder, budget_s)
    if resume and (folder / "trained").is_dir():
        listener.say(f"the student of {num_layers} layers was trained before")
        return _trained(lesson, layers, settings, folder / "trained")
    shutil.rmtree(folder / "cut", ignore_errors=True)
    classifier = with_layers(lesson.model.classifier, layers, folder / "cut", _trial(lesson))
    classifier.to(choose_device())
    trained = train_only(classifier, "full", embeddings=False)
    listener.say(
        f"student of {num_layers} of {len(whole)} layers ({', '.join(str(n + 1) for n in layers)}):"
        f" {trained:,} weights are trained, {settings.epochs} epochs, rate "
        f"{settings.learning_rate:.1e}"
    )
    training = lesson.config.training
    classifier.gradient_checkpointing(training.gradient_checkpointing)
    started, task, rows = time.monotonic(), lesson.teacher.task, lesson.rows
    result = fit(
        classifier,
        Rows(lesson.tokens, lesson.taught),
        Rows(lesson.validation, task.encode(rows.validation.targets or [])),
        objective=task.objective,
        criterion=lesson.criterion,
        judge=judge_of(task, rows.validation),
        settings=settings,
        callbacks=[listener],
        checkpoints=Checkpoints(
            folder / "checkpoints",
            keep=training.checkpoints_kept,
            interval_s=training.checkpoint_interval_s,
        ),
        resume=resume,
    )
    facts = {
        "history": [record.as_dict() for record in result.history],
        "best_epoch": result.best_epoch,
        "seconds": time.monotonic() - started,
        "out_of_time": result.out_of_time,
    }
    classifier.gradient_checkpointing(on=False)
    with storage.new_folder(folder / "trained", mode=0o700) as temporary:
        classifier.save(temporary)
        storage.write_bytes(temporary / "result.json", json.dumps(facts).encode())
    if result.out_of_time:
        listener.say("the time given is over; the student's best weights so far are kept")
    return _trained(lesson, layers, settings, folder / "trained")


def _trained(
    lesson: Lesson, layers: tuple[int, ...], settings: FitSettings, folder: Path
) -> Student:
    """The student that was kept, so that it is the same whether training was just now or before."""
    size, teacher = lesson.teacher.task.head.size, lesson.model
    classifier: Classifier = load_classifier(folder, teacher.pooling, size).to(choose_device())
    facts = json.loads((folder / "result.json").read_bytes())
    return Student(
        layers=layers,
        model=Model(
            classifier, teacher.tokenizer, teacher.pooling, teacher.max_length, teacher.precision
        ),
        validation_scores=score(classifier, lesson.validation),
        history=tuple(EpochRecord(**record) for record in facts["history"]),
        best_epoch=facts["best_epoch"],
        settings=settings,
        seconds=facts["seconds"],
        out_of_time=facts["out_of_time"],
    )


def _settings(lesson: Lesson, share: float, folder: Path, budget_s: float | None) -> FitSettings:
    """As many passes as 60,000 rows make, or as fit into the budget; a resumed one as before.

    Args:
        share: of the teacher's layers that the student has.
    """
    file, num_rows = folder / "plan.json", len(lesson.tokens)
    if file.is_file():
        epochs = int(json.loads(file.read_bytes())["epochs"])
    else:
        epochs = int(np.clip(round(_ROWS_TO_SEE / num_rows), *_EPOCHS))
        if budget_s is not None:
            epoch_s = TRAINING_COSTS * share * num_rows / lesson.rows_per_second
            epochs = min(epochs, max(1, int(SPARE * budget_s / epoch_s)))
        storage.write_bytes(file, json.dumps({"epochs": epochs}).encode())
    settings = fit_settings(
        "full", lesson.config, lesson.model, num_rows, epochs=epochs, time_limit_s=budget_s
    )
    # Where there is little time, the layers as they were may do better than after a few steps. On
    # rows that the teacher has learned from they would seem to, so that these choose no epoch.
    seen = lesson.rows.seen_by_teacher
    return replace(settings, keep_start=not seen, keep_last=seen)


def _trial(lesson: Lesson) -> dict[str, Any]:
    """Texts of all lengths, on the processor."""
    order = np.argsort(lesson.tokens.lengths, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_TRIAL_ROWS, len(order))).astype(np.int64)
    return lesson.tokens.batch(order[places])
