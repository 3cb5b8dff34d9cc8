"""The model, its probe, and its fine-tuning, with settings that fit base and data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.bases import (
    Base,
    Classifier,
    Pooling,
    Precision,
    TokenizedDataset,
    choose_device,
    choose_precision,
    extract_features,
    load_tokenizer,
    new_classifier,
    set_threads,
    tokenize,
)
from tunesmith.config import RunConfig, TrainingConfig
from tunesmith.evaluation import choose_thresholds
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._predictions import warn_of_cut
from tunesmith.recipes._prepare import PreparedData
from tunesmith.tasks import MultiLabelClassification, Task
from tunesmith.training import (
    Checkpoints,
    EpochRecord,
    FitSettings,
    MetricsLog,
    Rows,
    fit,
    fit_linear_head,
)
from tunesmith.types import Dataset, Outputs

__all__ = [
    "Model",
    "Probe",
    "TokenizedSplit",
    "Tuned",
    "build_model",
    "decide",
    "fine_tune",
    "fit_probe",
    "space_needed",
    "tokenize_split",
]

_UNKNOWN_SHARE_WORTH_A_WARNING = 0.05
_ROWS_TO_SEE = 25_000
_RATE_OF_MINILM = 1e-4
_HIDDEN_OF_MINILM = 384
_STEPS_TO_SETTLE = 400
_REPORT_BYTES = 5_000_000  # with the tokenizer, twice


@dataclass(frozen=True, slots=True)
class Model:
    """A base with its head, its tokenizer, and how both are used."""

    classifier: Classifier
    tokenizer: Any
    pooling: Pooling
    max_length: int
    precision: Precision


@dataclass(frozen=True, slots=True)
class TokenizedSplit:
    """The three splits as token ids."""

    train: TokenizedDataset
    validation: TokenizedDataset
    test: TokenizedDataset


@dataclass(frozen=True, slots=True)
class Probe:
    """The frozen base with a linear head.

    Attributes:
        validation_scores, test_scores: float32 [n, labels].
        seconds: time for features and head.
    """

    validation_scores: NDArray[np.float32]
    test_scores: NDArray[np.float32]
    seconds: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """What fine-tuning came to; `best_epoch` 0 means that the probe was kept."""

    history: tuple[EpochRecord, ...]
    best_epoch: int
    settings: FitSettings | None
    seconds: float


def build_model(base: Base, config: RunConfig, task: Task, listener: Listener) -> Model:
    """Opens the base, puts a head on it, and chooses pooling, length and precision.

    Raises:
        BaseModelError: the base cannot be opened.
    """
    threads = set_threads(config.training.threads)
    torch.manual_seed(config.seed)
    pooling = base.pooling if config.base.pooling == "auto" else config.base.pooling
    reason = base.pooling_reason if config.base.pooling == "auto" else "as set"
    max_length = min(config.base.max_length or base.max_length, base.max_length)
    tokenizer = load_tokenizer(base.path)
    classifier = new_classifier(base.path, pooling, task.head.size, dropout=config.training.dropout)
    device = choose_device()
    classifier.to(device)
    classifier.freeze_unused(embeddings=config.training.freeze_embeddings)
    precision, why = choose_precision(config.training.precision, device)
    listener.say(f"base {base.id} ({base.family}); {pooling} pooling: {reason}")
    listener.say(f"{precision} on {device}, {threads} threads: {why}")
    return Model(classifier, tokenizer, pooling, max_length, precision)


def tokenize_split(model: Model, data: PreparedData, listener: Listener) -> TokenizedSplit:
    """Turns the splits into token ids; says what is cut and what the base does not know."""
    parts = (data.split.train, data.split.validation, data.test)
    listener.stage("reading the texts", sum(len(part) for part in parts))
    tokenized: list[TokenizedDataset] = []
    for part in parts:
        tokenized.append(tokenize(model.tokenizer, part.inputs, model.max_length))
        listener.advance(len(part))
    lengths = np.concatenate([part.full_lengths for part in tokenized])
    warn_of_cut(lengths, model.max_length, listener)
    unknown = tokenized[0].unknown_share
    if unknown >= _UNKNOWN_SHARE_WORTH_A_WARNING:
        listener.warn(
            f"the base does not know {unknown:.0%} of the tokens in the training texts: it was "
            f"made for another language or alphabet; choose one that fits with --base"
        )
    return TokenizedSplit(*tokenized)


def fit_probe(
    model: Model, tokens: TokenizedSplit, data: PreparedData, listener: Listener
) -> Probe:
    """Fits the head on frozen features, which also is where fine-tuning starts."""
    started = time.monotonic()
    classifier, task = model.classifier, data.task
    parts = (tokens.train, tokens.validation, tokens.test)
    listener.stage("frozen encoder + linear head", sum(len(part) for part in parts))
    working = classifier.at(model.precision)
    features = [extract_features(working, part, on_rows=listener.advance) for part in parts]
    targets = task.encode(data.split.train.targets or [])
    weight, bias = fit_linear_head(features[0], targets, task.head.size, task.objective)
    with torch.no_grad():
        classifier.head.weight.copy_(weight)
        classifier.head.bias.copy_(bias)
    scores = [part @ weight.numpy().T + bias.numpy() for part in features]
    return Probe(scores[1], scores[2], time.monotonic() - started)


def fine_tune(
    model: Model,
    probe: Probe,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
    *,
    log: Path,
    checkpoints: Checkpoints,
    resume: bool,
) -> Tuned:
    """Trains all layers from the probe on, unless the method is "probe".

    Raises:
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    if config.training.method == "probe":
        return Tuned((), 0, None, probe.seconds)
    started = time.monotonic()
    settings = fit_settings(config, model, len(data.split.train))
    epochs = f"{settings.epochs} epoch{'' if settings.epochs == 1 else 's'}"
    listener.say(
        f"full fine-tuning: {epochs}, batches of {settings.batch_size}, "
        f"rate {settings.learning_rate:.1e}"
    )
    task = data.task
    result = fit(
        model.classifier,
        Rows(tokens.train, task.encode(data.split.train.targets or [])),
        Rows(tokens.validation, task.encode(data.split.validation.targets or [])),
        objective=task.objective,
        judge=_judge_of(task, data.split.validation),
        settings=settings,
        callbacks=(MetricsLog(log), listener),
        checkpoints=checkpoints,
        resume=resume,
    )
    seconds = probe.seconds + time.monotonic() - started
    return Tuned(result.history, result.best_epoch, settings, seconds)


def space_needed(model: Model, config: RunConfig) -> int:
    """About the most that a run writes, in bytes: its bundle, and checkpoints until that is there.

    A checkpoint holds the trained weights five times over: as they are, the best, the average, and
    two moments of AdamW. Two are kept, and a third is there while it is written.
    """
    parameters = list(model.classifier.parameters())
    bundle = sum(p.numel() * 4 for p in parameters) + _REPORT_BYTES
    if config.training.method == "probe":
        return bundle
    return bundle + 3 * 5 * sum(p.numel() * 4 for p in parameters if p.requires_grad)


def fit_settings(config: RunConfig, model: Model, num_rows: int) -> FitSettings:
    """The settings as given, and what suits base and data where they are left open.

    Small data gets more passes, so that about 25,000 rows are seen, within 2 to 10 epochs. The
    rate falls with the base's width, and where there are few steps, in which a high rate cannot
    settle. The weights are averaged over about a quarter of an epoch.
    """
    training: TrainingConfig = config.training
    epochs = training.epochs or int(np.clip(round(_ROWS_TO_SEE / num_rows), 2, 10))
    hidden = model.classifier.head.in_features
    steps = max(num_rows / training.batch_size, 1.0)
    settled = min(1.0, (steps * epochs / _STEPS_TO_SETTLE) ** 0.5)
    suited = min(_RATE_OF_MINILM * _HIDDEN_OF_MINILM / hidden, 1e-3) * settled
    average = training.average_decay
    return FitSettings(
        epochs=epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate or suited,
        weight_decay=training.weight_decay,
        warmup_fraction=training.warmup_fraction,
        clip_norm=training.clip_norm,
        average_decay=max(0.0, 1.0 - 4.0 / steps) if average is None else average,
        dropout=training.dropout,
        label_smoothing=training.label_smoothing,
        patience=training.patience,
        precision=model.precision,
        keep_start=training.method == "auto",
        seed=config.seed,
    )


def decide(task: Task, validation: Dataset, scores: NDArray[np.float32]) -> Task:
    """The task with its decision rule fitted to validation scores, float32 [n, labels]."""
    if isinstance(task, MultiLabelClassification):
        targets = task.encode(validation.targets or [])
        probabilities = task.probabilities(Outputs(scores=scores))
        return task.with_thresholds(choose_thresholds(targets, probabilities))
    return task


def _judge_of(task: Task, validation: Dataset) -> Callable[[NDArray[np.float32]], float]:
    """Accuracy, or macro-F1 at thresholds chosen on the same rows for several labels."""
    from sklearn.metrics import f1_score

    targets = task.encode(validation.targets or [])

    def judge(scores: NDArray[np.float32]) -> float:
        if task.objective == "cross-entropy":
            return float((scores.argmax(axis=1) == targets).mean())
        probabilities = task.probabilities(Outputs(scores=scores))
        chosen = probabilities >= np.array(choose_thresholds(targets, probabilities))
        return float(f1_score(targets, chosen, average="macro", zero_division=0))

    return judge
