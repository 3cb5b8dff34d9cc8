"""The training loop: one pass through `fit` reads as the procedure itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.bases import Classifier, drop_in_adapter, score
from tunesmith.errors import Interrupted
from tunesmith.memory import keep_freed_memory
from tunesmith.tasks import Objective
from tunesmith.training._averaging import Averaging, Soup, WeightAverage
from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._interrupts import StopRequest, stop_on_signals
from tunesmith.training._loss_scale import LossScale
from tunesmith.training._processes import Processes
from tunesmith.training._settings import FitResult, FitSettings, Rows
from tunesmith.training._sharded_copy import ShardedCopy
from tunesmith.training._state import TrainingState
from tunesmith.training._step import Stepper, check_loss
from tunesmith.training._working_copy import Working, WorkingCopy
from tunesmith.training.callbacks import Callback, EpochRecord
from tunesmith.training.criteria import Criterion, mean_loss
from tunesmith.training.optimizers import build_optimizer, own_schedule, rate_at

__all__ = ["fit"]


@dataclass(slots=True)
class _Fit:
    """What the loop's parts share."""

    model: Classifier
    train: Rows
    validation: Rows
    settings: FitSettings
    objective: Objective
    criterion: Criterion
    judge: Callable[[NDArray[np.float32]], float]
    callbacks: Sequence[Callback]
    checkpoints: Checkpoints | None
    state: TrainingState
    working: Working
    stepper: Stepper
    processes: Processes
    scheduled_steps: int = 0
    total_steps: int = 0
    started: float = field(default_factory=time.monotonic)

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        settings = self.settings
        lengths = self.train.tokens.lengths
        return self.criterion.batches(lengths, settings.batch_size, seed=settings.seed, epoch=epoch)

    @property
    def seconds(self) -> float:
        """Time spent in training, before the last resume too."""
        return self.state.seconds_before + time.monotonic() - self.started

    @property
    def out_of_time(self) -> bool:
        limit = self.settings.time_limit_s
        return limit is not None and self.processes.any(self.seconds > limit)

    def save(self) -> str | None:
        """Writes a checkpoint, where there is a place for it; says where."""
        if self.checkpoints is None:
            return None
        place = None
        if self.working.sharded or self.processes.is_first:
            first = self.processes.is_first
            place = self.state.save(self.checkpoints, self.seconds, writes=first)
        self.processes.wait()
        return str(place or self.checkpoints.folder)


def fit(
    model: Classifier,
    train: Rows,
    validation: Rows,
    *,
    objective: Objective,
    criterion: Criterion,
    judge: Callable[[NDArray[np.float32]], float],
    settings: FitSettings,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    until_epoch: int | None = None,
) -> FitResult:
    """Fine-tunes every parameter that wants a gradient, and keeps the best epoch's weights.

    The weights are validated as they come, as epoch 0, and after each epoch; the epoch with the
    best metric is kept, of equals the one with the lower loss. The same arguments give the same
    weights on the same machine; a run that was interrupted or killed and then resumed gives them
    too.

    Started in several processes (torchrun, `accelerate launch`), each step's rows are shared out
    among them, and all end with the same weights.

    Args:
        model: what is trained, in place, on the device where it is.
        criterion: what is minimised, over which rows.
        judge: validation scores, float32 [n, labels] → the metric that decides, more is better.
        checkpoints: where state is kept when it is due and when interrupted; None: nowhere.
        resume: whether to go on from the newest checkpoint, where there is one.
        until_epoch: pause after this epoch, with a checkpoint from which `resume` goes on; the
            schedule is that of all epochs. None: no pause.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; a checkpoint of the very step was kept.
        TrainingError: the loss is not a number any more, or the memory does not suffice.
        OutputError: the disk is full; the checkpoints kept so far are whole.
    """
    run = _prepare(
        model, train, validation, objective, criterion, judge, settings, callbacks, checkpoints
    )
    if resume and checkpoints is not None:
        run.state.restore(checkpoints)
    steps, last = len(run.batches(0)), min(settings.epochs, settings.end_after or settings.epochs)
    run.scheduled_steps, run.total_steps = steps * settings.epochs, steps * last
    with ExitStack() as ending, keep_freed_memory(), stop_on_signals() as stop:
        for callback in callbacks:
            ending.callback(callback.on_end)
            callback.on_start(run.total_steps, run.state.step)
        if not run.state.history:
            _validate(run, train_loss=None)
        last = min(last, until_epoch or last)
        while run.state.epoch < last and not _has_ended(run):
            _train_epoch(run, stop)
            _validate(run, train_loss=run.state.mean_loss())
            _keep_what_is_due(run, stop)
        if until_epoch is not None:
            run.save()
    run.state.put_best_into_master()
    return FitResult(tuple(run.state.history), run.state.best_epoch, run.out_of_time)


def _prepare(
    model: Classifier,
    train: Rows,
    validation: Rows,
    objective: Objective,
    criterion: Criterion,
    judge: Callable[[NDArray[np.float32]], float],
    settings: FitSettings,
    callbacks: Sequence[Callback],
    checkpoints: Checkpoints | None,
) -> _Fit:
    torch.manual_seed(settings.seed)
    processes = Processes()
    # A head that was fitted may differ in its last digits between GPUs.
    processes.take_from_first(p for p in model.parameters() if p.requires_grad)
    loss_scale = LossScale(needed=settings.precision == "fp16")
    working = _working(model, settings, processes)
    optimizer = working.build_optimizer(
        lambda whole: build_optimizer(
            settings.optimizer,
            whole,
            rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            layer_decay=settings.layer_decay,
        )
    )

    def on_less_memory(max_tokens: int) -> None:
        for callback in callbacks:
            callback.on_less_memory(max_tokens)

    stepper = Stepper(
        working, optimizer, criterion, train, processes, settings.clip_norm, settings.max_tokens,
        on_less_memory, loss_scale,
    )  # fmt: skip
    state = TrainingState(working, optimizer, _averaging(working, settings), loss_scale)
    return _Fit(
        model, train, validation, settings, objective, criterion, judge, callbacks, checkpoints,
        state, working, stepper, processes,
    )  # fmt: skip


def _working(model: Classifier, settings: FitSettings, processes: Processes) -> Working:
    if settings.sharding == "full" and processes.size > 1:
        return ShardedCopy(model, settings.precision, processes)
    return WorkingCopy(model, settings.precision)


def _averaging(working: Working, settings: FitSettings) -> Averaging | None:
    if own_schedule(settings.optimizer):  # it averages by itself
        return None
    trained = list(working.trained.values())
    if settings.averaging == "soup":
        return Soup(trained)
    if settings.averaging == "ema" and settings.average_decay:
        return WeightAverage(trained, settings.average_decay)
    return None


def _train_epoch(run: _Fit, stop: StopRequest) -> None:
    """Trains on the batches of the state's epoch that it has not seen yet."""
    settings, state = run.settings, run.state
    # Without dropout the base stays in evaluation mode, in which every family has it switched off.
    run.working.model.train(settings.dropout > 0)
    if settings.adapter_dropout > 0:
        drop_in_adapter(run.working.model)
    schedule = "constant" if own_schedule(settings.optimizer) else settings.schedule
    batches = run.batches(state.epoch)
    for batch in batches[state.batch :]:
        rate = rate_at(
            schedule,
            state.step,
            run.scheduled_steps,
            settings.learning_rate,
            settings.warmup_fraction,
        )
        loss = run.stepper.step(batch, rate, state.step + 1)
        state.count(loss, rows=len(batch))
        for callback in run.callbacks:
            callback.on_step(state.step, loss, rate)
        if run.out_of_time:
            break
        if state.batch < len(batches):  # after the last one the weights are validated first
            _keep_what_is_due(run, stop)
    state.end_epoch()


def _has_ended(run: _Fit) -> bool:
    """Whether training ends before its last epoch."""
    patience = run.settings.patience
    tired = patience is not None and run.state.epoch - run.state.best_epoch >= patience
    return tired or run.out_of_time


def _keep_what_is_due(run: _Fit, stop: StopRequest) -> None:
    """Writes a checkpoint where one is due; answers the user's wish to stop with one."""
    is_asked = run.processes.any(stop.requested)
    due = run.checkpoints is not None and run.checkpoints.due()
    if not (is_asked or run.processes.any(due)):
        return
    # A step may spoil the weights without a word; the next one finds it, and needs what was before.
    is_sound = not run.processes.any(not run.state.is_sound())
    if is_asked:
        _stop(run, is_sound=is_sound)
    elif is_sound:
        run.save()


def _stop(run: _Fit, *, is_sound: bool) -> NoReturn:
    what = f"stopped at step {run.state.step} of {run.total_steps}"
    if not is_sound:
        raise Interrupted(f"{what}, whose weights are not numbers any more and were not kept")
    kept = run.save()
    if kept is None:
        raise Interrupted(what)
    raise Interrupted(
        f"{what}; a checkpoint was kept",
        where=kept,
        mend="the same command with --resume goes on from there",
    )


def _validate(run: _Fit, train_loss: float | None) -> None:
    """Judges the (averaged) weights on the validation rows; keeps a copy of the best."""
    with run.state.judged_weights():
        run.criterion.before_judging(run.working.model)
        run.working.hand_over_head()
        scores = score(run.working.model, run.validation.tokens)
        targets = torch.from_numpy(run.validation.targets)
        loss = float(mean_loss(run.objective, torch.from_numpy(scores), targets))
        # Scores may differ in their last digits between GPUs, but one must be the best in all.
        loss, metric = run.processes.figures_from_first(loss, run.judge(scores))
        # Weights that the last step spoilt must not become a checkpoint, or even the best ones.
        check_loss(loss, f"on the validation rows after step {run.state.step}")
        record = EpochRecord(
            epoch=run.state.epoch,
            step=run.state.step,
            train_loss=train_loss,
            validation_loss=loss,
            metric=metric,
            seconds=run.seconds,
        )
        run.state.record(
            record, keep_start=run.settings.keep_start, keep_last=run.settings.keep_last
        )
    for callback in run.callbacks:
        callback.on_epoch(record)
