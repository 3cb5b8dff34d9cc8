"""One method of fine-tuning, with settings that fit method, base and data."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.bases import Classifier, has_adapter, merge_adapter, packed, score
from tunesmith.config import Method, RunConfig
from tunesmith.evaluation import choose_thresholds
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._methods import (
    is_adapter,
    is_supervised,
    make_criterion,
    prepare_method,
    suited_dropout,
    suited_factor,
)
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import Probe
from tunesmith.tasks import MultiLabelClassification, Task
from tunesmith.training import (
    Callback,
    Checkpoints,
    EpochRecord,
    FitSettings,
    MetricsLog,
    Processes,
    Rows,
    fit,
)
from tunesmith.training.callbacks import Trackers
from tunesmith.training.criteria import FEWEST_BATCHES
from tunesmith.training.optimizers import suited_rate
from tunesmith.types import Dataset, Outputs

__all__ = ["Tuned", "decide", "fine_tune", "fit_settings", "suited_epochs"]

_ROWS_TO_SEE = 25_000
_RATE_OF_MINILM = 1e-4
_HIDDEN_OF_MINILM = 384
_STEPS_TO_SETTLE = 400
_STEPS_OF_FEW_SHOT = 50


@dataclass(frozen=True, slots=True)
class Tuned:
    """A model, and how it came about.

    Attributes:
        validation_scores: float32 [n, labels], of the best epoch.
        settings: None for the probe, which is not fine-tuned.
        seconds: time for probe and fine-tuning.
        epochs: trained so far.
        out_of_time: whether the time limit ended the training.
    """

    method: Method
    classifier: Classifier
    validation_scores: NDArray[np.float32]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    settings: FitSettings | None
    seconds: float
    out_of_time: bool = False

    @property
    def epochs(self) -> int:
        return self.history[-1].epoch if self.history else 0


def fine_tune(
    method: Method,
    model: Model,
    probe: Probe,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
    *,
    folder: Path,
    resume: bool,
    settings: FitSettings,
    until_epoch: int | None = None,
    name: str | None = None,
) -> Tuned:
    """Trains a copy of the model, which holds the probe's head or the parent's, by one method.

    Args:
        folder: the run's; checkpoints and the log go there.
        until_epoch: see `fit`.
        name: what checkpoints and trackers call it; None: as the method.

    Raises:
        ConfigError: the method does not fit the base or this machine.
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    started = time.monotonic()
    task, training = data.task, config.training
    classifier = copy.deepcopy(model.classifier)
    if probe.inherited is not None:
        weight, bias = probe.inherited
        classifier.head.load_state_dict({"weight": weight, "bias": bias})
    # An adapter begins with numbers drawn by chance, which may not hang on what was drawn before.
    torch.manual_seed(settings.seed)
    source = prepare_method(
        method, classifier, tokens.train, config, listener,
        precision=model.precision, folder=folder,
    )  # fmt: skip
    context = ExitStack()
    if training.packing:
        source = context.enter_context(packed(classifier, tokens.train, model.precision))
        listener.say(f"{method}: texts are read one behind the other, without padding")
    given = Rows(source, task.encode(data.split.train.targets or []))
    rows = given
    if probe.soft_labels is not None and is_supervised(method):
        rows = replace(given, targets=probe.soft_labels)
    checkpoints = Checkpoints(
        folder / "checkpoints" / (name or method),
        keep=training.checkpoints_kept,
        interval_s=training.checkpoint_interval_s,
    )
    validation = Rows(tokens.validation, task.encode(data.split.validation.targets or []))
    callbacks: list[Callback] = [*_trackers(name or method, config, folder, listener), listener]
    if settings.keep_last:
        callbacks = [_Unjudged(callback) for callback in callbacks]
    callbacks = [*_log(name or method, settings, folder), *callbacks]
    with context, _sharing_out(model.classifier, method, config, listener):
        result = fit(
            classifier,
            rows,
            validation,
            objective=task.objective,
            criterion=make_criterion(method, task, given, config, inherited=probe.inherited),
            judge=judge_of(task, data.split.validation),
            settings=settings,
            callbacks=callbacks,
            checkpoints=checkpoints,
            resume=resume,
            until_epoch=until_epoch,
        )
    if has_adapter(classifier) and config.adapter.keep == "merged" and until_epoch is None:
        merge_adapter(classifier)
    if result.out_of_time and not settings.keep_last:
        listener.say(f"{method}: the time given is over; the best weights so far are kept")
    return Tuned(
        method=method,
        classifier=classifier,
        validation_scores=score(classifier.at(model.precision), tokens.validation),
        history=result.history,
        best_epoch=result.best_epoch,
        settings=settings,
        seconds=probe.seconds + time.monotonic() - started,
        out_of_time=result.out_of_time,
    )


class _Unjudged:
    """Passes on all but the figures on validation rows, where these are learned from."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def on_start(self, total_steps: int, first_step: int) -> None:
        self._callback.on_start(total_steps, first_step)

    def on_step(self, step: int, loss: float, rate: float) -> None:
        self._callback.on_step(step, loss, rate)

    def on_less_memory(self, max_tokens: int) -> None:
        self._callback.on_less_memory(max_tokens)

    def on_epoch(self, record: EpochRecord) -> None: ...

    def on_end(self) -> None:
        self._callback.on_end()


@contextmanager
def _sharing_out(
    other: Classifier, method: Method, config: RunConfig, listener: Listener
) -> Iterator[None]:
    """Says how the weights are shared out; within it the other model leaves the GPU's memory."""
    size = Processes().size
    if config.training.sharding == "none":
        yield
    elif size == 1:
        listener.say(f"{method}: one process, so that its weights are not shared out")
        yield
    else:
        listener.say(f"{method}: {size} processes share out the weights")
        device = next(other.parameters()).device
        other.cpu()
        try:
            yield
        finally:
            other.to(device)


def _log(name: str, settings: FitSettings, folder: Path) -> list[Callback]:
    """What is written down of the losses, by the first of the processes that train together."""
    if not Processes().is_first:
        return []
    file = folder / "metrics.jsonl"
    return [MetricsLog(file, name, settings.facts(), judged=not settings.keep_last)]


def _trackers(name: str, config: RunConfig, folder: Path, listener: Listener) -> list[Callback]:
    """Who else is told of them, by that process alone."""
    if not (config.training.track and Processes().is_first):
        return []
    values = config.model_dump(mode="json")
    run = f"{folder.name}-{name}"
    return [Trackers(config.training.track, "tunesmith", run, values, folder, warn=listener.warn)]


def suited_epochs(num_rows: int) -> int:
    """Passes so that about 25,000 rows are seen, within 2 to 10."""
    return int(np.clip(round(_ROWS_TO_SEE / num_rows), 2, 10))


def fit_settings(
    method: Method,
    config: RunConfig,
    model: Model,
    num_rows: int,
    *,
    epochs: int | None = None,
    time_limit_s: float | None = None,
) -> FitSettings:
    """The settings as given, and what suits method, base and data where they are left open.

    The rate falls with the base's width, and where there are few steps, in which a high rate cannot
    settle; adapters and biases, which are few, need a higher one. The weights are averaged over
    about a quarter of an epoch. Comparing rows has brought those of a label together after some 50
    steps, whatever the number of rows; what comes after that is learned by heart.

    Args:
        epochs: as planned, which may be more than suits the method.
    """
    training = config.training
    epochs = epochs or training.epochs or suited_epochs(num_rows)
    hidden = model.classifier.head.in_features
    steps = max(num_rows / training.batch_size, 1.0)
    # Contrastive training of a few rows has to move far in its few steps (docs/log.md).
    is_few_shot = method == "few-shot"
    if is_few_shot and training.epochs is None:
        epochs = min(epochs, max(1, round(_STEPS_OF_FEW_SHOT / max(steps, FEWEST_BATCHES))))
    settled = 1.0 if is_few_shot else min(1.0, (steps * epochs / _STEPS_TO_SETTLE) ** 0.5)
    rate = min(_RATE_OF_MINILM * _HIDDEN_OF_MINILM / hidden, 1e-3) * settled
    suited = suited_rate(training.optimizer, rate * suited_factor(method))
    average = training.average_decay
    return FitSettings(
        epochs=epochs,
        batch_size=training.batch_size,
        max_tokens=training.max_tokens,
        optimizer=training.optimizer,
        learning_rate=training.learning_rate or suited,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        layer_decay=training.layer_decay,
        schedule=training.schedule,
        warmup_fraction=training.warmup_fraction,
        clip_norm=training.clip_norm,
        averaging=training.averaging,
        average_decay=max(0.0, 1.0 - 4.0 / steps) if average is None else average,
        dropout=suited_dropout(method, config, model.classifier),
        adapter_dropout=config.adapter.dropout if is_adapter(method) else 0.0,
        patience=training.patience,
        precision=model.precision,
        sharding=training.sharding,
        keep_start=False,
        time_limit_s=time_limit_s,
        seed=config.seed,
    )


def decide(task: Task, validation: Dataset, scores: NDArray[np.float32]) -> Task:
    """The task with its decision rule fitted to validation scores, float32 [n, labels]."""
    if isinstance(task, MultiLabelClassification):
        targets = task.encode(validation.targets or [])
        probabilities = task.probabilities(Outputs(scores=scores))
        return task.with_thresholds(choose_thresholds(targets, probabilities))
    return task


def judge_of(task: Task, validation: Dataset) -> Callable[[NDArray[np.float32]], float]:
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
