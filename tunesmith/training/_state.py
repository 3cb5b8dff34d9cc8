"""How far a fit has come: all that a checkpoint must hold for the rest to be the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.training._averaging import Averaging
from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._loss_scale import LossScale
from tunesmith.training._working_copy import Working
from tunesmith.training.callbacks import EpochRecord
from tunesmith.training.optimizers import optimizer_facts, optimizer_tensors, restore_optimizer

__all__ = ["TrainingState"]

_COUNTERS = ("epoch", "batch", "step", "loss_sum", "loss_rows", "best_epoch")


@dataclass(slots=True)
class TrainingState:
    """The optimiser and the average with their memory; counters, history, the best weights.

    Attributes:
        epoch: epochs done.
        batch: batches done of the epoch at hand.
        step: optimiser steps done.
        best: name → what this process holds of the best weights.
        seconds_before: time spent before the last resume.
    """

    working: Working
    optimizer: torch.optim.Optimizer
    averaging: Averaging | None
    loss_scale: LossScale
    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_rows: int = 0
    seconds_before: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0

    def count(self, loss: float, rows: int) -> None:
        """A step is done: `rows` rows with this mean loss."""
        if self.averaging is not None:
            self.averaging.after_step(self.step)
        self.step += 1
        self.batch += 1
        self.loss_sum += loss * rows
        self.loss_rows += rows

    def end_epoch(self) -> None:
        """All batches of an epoch are done."""
        if self.averaging is not None:
            self.averaging.after_epoch()
        self.epoch += 1
        self.batch = 0

    def mean_loss(self) -> float:
        """The mean loss of the rows since the last call."""
        mean = self.loss_sum / max(self.loss_rows, 1)
        self.loss_sum, self.loss_rows = 0.0, 0
        return mean

    @contextmanager
    def judged_weights(self) -> Iterator[None]:
        """Within it the model holds the weights that are judged: the average, if there is one."""
        with _for_judging(self.optimizer):
            if self.averaging is not None:
                self.averaging.swap()
            self.working.take_weights()
            yield
            if self.averaging is not None:
                self.averaging.swap()
        self.working.take_weights()

    def record(self, record: EpochRecord, *, keep_start: bool, keep_last: bool) -> None:
        """Adds an epoch, and keeps the weights where it is the best so far, or the last."""
        rivals = [old for old in self.history if old.epoch > 0 or keep_start]
        leading = next((old for old in rivals if old.epoch == self.best_epoch), None)
        self.history.append(record)
        own = (record.metric, -record.validation_loss)
        if keep_last or leading is None or own > (leading.metric, -leading.validation_loss):
            self.best_epoch = record.epoch
            self.best = {name: value.detach().clone() for name, value in self._trained.items()}

    def is_sound(self) -> bool:
        """Whether all trained weights that this process holds are numbers."""
        return all(bool(value.isfinite().all()) for value in self._trained.values())

    def put_best_into_master(self) -> None:
        """Gives the model that is trained the best epoch's weights."""
        self.working.keep(self.best)

    def save(self, checkpoints: Checkpoints, seconds: float, *, writes: bool) -> Path | None:
        """Writes a checkpoint of the whole weights, however they are shared out.

        Where they are, all processes call it together.

        Args:
            seconds: spent so far, before the last resume too.
            writes: whether it is this process that writes.

        Returns:
            The checkpoint's folder; None where another process writes.
        """
        tensors: dict[str, Tensor] = {}
        for name, weight, value in self._kept():
            whole = self.working.whole(weight, value)
            if writes:
                # A name may stand for the same memory twice (best is the model's after its epoch).
                tensors[name] = whole.detach().cpu().clone()
        if not writes:
            return None
        state: dict[str, Any] = {name: getattr(self, name) for name in _COUNTERS}
        if self.averaging is not None:
            state["average"] = self.averaging.facts()
        state["loss_scale"] = self.loss_scale.facts()
        tensors["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random_gpu"] = torch.cuda.get_rng_state()
        state["optimizer"] = optimizer_facts(self.optimizer)
        state["history"] = [record.as_dict() for record in self.history]
        state["seconds"] = seconds
        return checkpoints.save(self.step, tensors, state)

    def restore(self, checkpoints: Checkpoints) -> None:
        """Goes back to the newest checkpoint, where there is one."""
        kept = checkpoints.load_newest()
        if kept is None:
            return
        tensors, state = kept
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.seconds_before = state["seconds"]
        self.loss_scale.restore(state["loss_scale"])
        own, trained = self.working.own, self._trained
        self.best = {
            name: own(trained[name], value).to(trained[name].device)
            for name, value in _named(tensors, "best.").items()
        }
        with torch.no_grad():
            for name, weight in trained.items():
                weight.copy_(own(weight, tensors[f"model.{name}"]))
        weights = self._of_optimizer()
        memory = {
            name: own(weights[int(name.partition(".")[0])], value)
            for name, value in _named(tensors, "optimizer.").items()
        }
        restore_optimizer(self.optimizer, memory, state["optimizer"])
        if self.averaging is not None:
            numbered = list(trained.values())
            averages = {
                number: own(numbered[int(number)], value)
                for number, value in _named(tensors, "average.").items()
            }
            self.averaging.restore(averages, state["average"])
        torch.set_rng_state(tensors["random"])
        if "random_gpu" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random_gpu"])
        self.working.take_weights()

    @property
    def _trained(self) -> dict[str, nn.Parameter]:
        return self.working.trained

    def _of_optimizer(self) -> list[Tensor]:
        """The weights as the optimiser numbers them."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def _kept(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """The name of each tensor in a checkpoint, the weight that it is for, and the tensor."""
        trained, weights = self._trained, self._of_optimizer()
        for name, weight in trained.items():
            yield f"model.{name}", weight, weight
        for name, value in self.best.items():
            yield f"best.{name}", trained[name], value
        for name, value in optimizer_tensors(self.optimizer).items():
            yield f"optimizer.{name}", weights[int(name.partition(".")[0])], value
        if self.averaging is not None:
            numbered = list(trained.values())
            for number, value in self.averaging.tensors().items():
                yield f"average.{number}", numbered[int(number)], value


@contextmanager
def _for_judging(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Schedule-free optimisers train on other weights than those that are judged."""
    switch: Any = optimizer
    if not hasattr(switch, "eval"):
        yield
        return
    switch.eval()
    yield
    switch.train()


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
