"""The training loop: one pass through `fit` reads as the procedure itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.bases import Classifier, Precision, TokenizedDataset, score
from tunesmith.errors import Interrupted, TrainingError
from tunesmith.tasks import Objective
from tunesmith.training._batches import epoch_batches
from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._interrupts import StopRequest, stop_on_signals
from tunesmith.training._objectives import loss_for
from tunesmith.training._optimizer import WeightAverage, adamw, rate_at
from tunesmith.training._state import TrainingState
from tunesmith.training._working_copy import WorkingCopy
from tunesmith.training.callbacks import Callback, EpochRecord

__all__ = ["FitResult", "FitSettings", "Rows", "fit"]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Values that a fit is decided by; see `tunesmith.config.TrainingConfig` for each.

    `keep_start` says whether the weights before the first step may be chosen as the best.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    clip_norm: float = 1.0
    average_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    patience: int | None = None
    precision: Precision = "fp32"
    keep_start: bool = True
    seed: int = 42


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokenised rows and their targets, as the task encodes them."""

    tokens: TokenizedDataset
    targets: NDArray[np.float32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a fit came to: the model holds the weights of epoch `best_epoch`."""

    history: tuple[EpochRecord, ...]
    best_epoch: int


@dataclass(slots=True)
class _Fit:
    """What the loop's parts share."""

    model: Classifier
    train: Rows
    validation: Rows
    settings: FitSettings
    objective: Objective
    judge: Callable[[NDArray[np.float32]], float]
    state: TrainingState
    callbacks: Sequence[Callback]
    accelerator: Accelerator
    working: WorkingCopy
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    started: float = field(default_factory=time.monotonic)

    @property
    def steps_an_epoch(self) -> int:
        return len(self.batches(0))

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        settings = self.settings
        lengths = self.train.tokens.lengths
        return epoch_batches(lengths, settings.batch_size, seed=settings.seed, epoch=epoch)


def fit(
    model: Classifier,
    train: Rows,
    validation: Rows,
    *,
    objective: Objective,
    judge: Callable[[NDArray[np.float32]], float],
    settings: FitSettings,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> FitResult:
    """Fine-tunes every parameter that wants a gradient, and keeps the best epoch's weights.

    The weights are validated as they come, as epoch 0, and after each epoch; the epoch with the
    best metric is kept, of equals the one with the lower loss. The same arguments give the same
    weights on the same machine; a run that was interrupted and resumed gives them too.

    Args:
        model: what is trained, in place.
        judge: validation scores, float32 [n, labels] → the metric that decides, more is better.
        checkpoints: where state is kept after each epoch and when interrupted; None: nowhere.
        resume: whether to go on from the newest checkpoint, where there is one.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; a checkpoint of the very step was kept.
        TrainingError: the loss is not a number any more.
        OutputError: the disk is full; the checkpoints kept so far are whole.
    """
    run = _prepare(model, train, validation, objective, judge, settings, callbacks)
    if resume and checkpoints is not None:
        run.state.restore(checkpoints, run.model, run.optimizer, run.average)
        run.working.take_weights()
    total_steps = run.steps_an_epoch * settings.epochs
    with ExitStack() as ending, stop_on_signals() as stop:
        for callback in callbacks:
            ending.callback(callback.on_end)
            callback.on_start(total_steps, run.state.step)
        if not run.state.history:
            _validate(run, train_loss=None)
        while run.state.epoch < settings.epochs and not _out_of_patience(run):
            _train_epoch(run, total_steps, checkpoints, stop)
            _validate(run, train_loss=run.state.mean_loss())
            if checkpoints is not None and checkpoints.due():
                run.state.save(checkpoints, run.model, run.optimizer, run.average)
            if stop.requested:
                _stop(run, total_steps, checkpoints)
    run.state.put_best_into(model)
    return FitResult(tuple(run.state.history), run.state.best_epoch)


def _prepare(
    model: Classifier,
    train: Rows,
    validation: Rows,
    objective: Objective,
    judge: Callable[[NDArray[np.float32]], float],
    settings: FitSettings,
    callbacks: Sequence[Callback],
) -> _Fit:
    torch.manual_seed(settings.seed)
    device = next(model.parameters()).device
    accelerator = Accelerator(cpu=device.type == "cpu")
    model.to(accelerator.device)
    working = WorkingCopy(model, settings.precision)
    optimizer = adamw(model, settings.learning_rate, settings.weight_decay)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decay = settings.average_decay
    average = WeightAverage(list(trained), decay) if decay else None
    state = TrainingState()
    return _Fit(
        model, train, validation, settings, objective, judge, state, callbacks, accelerator,
        working, optimizer, average,
    )  # fmt: skip


def _train_epoch(
    run: _Fit, total_steps: int, checkpoints: Checkpoints | None, stop: StopRequest
) -> None:
    """Trains on the batches of the state's epoch that it has not seen yet."""
    settings, state = run.settings, run.state
    # Without dropout the base stays in evaluation mode, in which every family has it switched off.
    run.working.model.train(settings.dropout > 0)
    for batch in run.batches(state.epoch)[state.batch :]:
        rate = rate_at(state.step, total_steps, settings.learning_rate, settings.warmup_fraction)
        loss = _train_step(run, batch, rate)
        state.count(loss, rows=len(batch))
        for callback in run.callbacks:
            callback.on_step(state.step, loss, rate)
        if stop.requested:
            _stop(run, total_steps, checkpoints)
    state.epoch += 1
    state.batch = 0


def _stop(run: _Fit, total_steps: int, checkpoints: Checkpoints | None) -> NoReturn:
    """Answers the user's wish to stop; keeps a checkpoint where one can be kept."""
    what = f"stopped at step {run.state.step} of {total_steps}"
    if checkpoints is None:
        raise Interrupted(what)
    kept = run.state.save(checkpoints, run.model, run.optimizer, run.average)
    raise Interrupted(
        f"{what}; a checkpoint was kept",
        where=str(kept),
        mend="the same command with --resume goes on from there",
    )


def _train_step(run: _Fit, indices: NDArray[np.int64], rate: float) -> float:
    """One step on the rows at `indices`; returns their mean loss."""
    device = run.accelerator.device
    batch = {name: value.to(device) for name, value in run.train.tokens.batch(indices).items()}
    targets = torch.from_numpy(run.train.targets[indices]).to(device)
    scores: Tensor = run.working.model(batch)
    loss_of = loss_for(run.objective, smoothing=run.settings.label_smoothing)
    loss = loss_of(scores, targets)
    value = float(loss.detach())
    _check_loss(value, f"at step {run.state.step + 1}")
    run.accelerator.backward(loss)
    run.working.hand_over_gradients()
    trained = [group["params"] for group in run.optimizer.param_groups]
    torch.nn.utils.clip_grad_norm_([p for group in trained for p in group], run.settings.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.working.take_weights()
    if run.average is not None:
        run.average.update(run.state.step)
    return value


def _check_loss(value: float, where: str) -> None:
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value} {where}",
            mend="--set training.learning_rate=… (half of it), or --set training.precision=fp32",
        )


def _validate(run: _Fit, train_loss: float | None) -> None:
    """Judges the (averaged) weights on the validation rows; keeps a copy of the best."""
    if run.average is not None:
        run.average.swap()
        run.working.take_weights()
    scores = score(run.working.model, run.validation.tokens)
    loss = loss_for(run.objective)(
        torch.from_numpy(scores), torch.from_numpy(run.validation.targets)
    )
    # Weights that the last step spoilt must not become a checkpoint, or even the best ones.
    _check_loss(float(loss), f"on the validation rows after step {run.state.step}")
    record = EpochRecord(
        epoch=run.state.epoch,
        step=run.state.step,
        train_loss=train_loss,
        validation_loss=float(loss),
        metric=run.judge(scores),
        seconds=run.state.seconds_before + time.monotonic() - run.started,
    )
    run.state.record(record, run.model, keep_start=run.settings.keep_start)
    if run.average is not None:
        run.average.swap()
        run.working.take_weights()
    for callback in run.callbacks:
        callback.on_epoch(record)


def _out_of_patience(run: _Fit) -> bool:
    patience = run.settings.patience
    return patience is not None and run.state.epoch - run.state.best_epoch >= patience
