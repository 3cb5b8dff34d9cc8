"""How far a fit has come: all that a checkpoint must hold for the rest to be the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.bases import Classifier
from tunesmith.training._averaging import Averaging
from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._working_copy import WorkingCopy
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
        seconds_before: time spent before the last resume.
    """

    optimizer: torch.optim.Optimizer
    averaging: Averaging | None
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
    def judged_weights(self, working: WorkingCopy) -> Iterator[None]:
        """Within it the model holds the weights that are judged: the average, if there is one."""
        with _for_judging(self.optimizer):
            if self.averaging is not None:
                self.averaging.swap()
            working.take_weights()
            yield
            if self.averaging is not None:
                self.averaging.swap()
        working.take_weights()

    def record(
        self, record: EpochRecord, model: Classifier, *, keep_start: bool, keep_last: bool
    ) -> None:
        """Adds an epoch, and keeps the model's weights where it is the best so far, or the last."""
        rivals = [old for old in self.history if old.epoch > 0 or keep_start]
        leading = next((old for old in rivals if old.epoch == self.best_epoch), None)
        self.history.append(record)
        if (
            keep_last
            or leading is None
            or (record.metric, -record.validation_loss)
            > (
                leading.metric,
                -leading.validation_loss,
            )
        ):
            self.best_epoch = record.epoch
            self.best = {name: value.clone() for name, value in _trained(model).items()}

    @staticmethod
    def is_sound(model: Classifier) -> bool:
        """Whether all trained weights are numbers."""
        return all(bool(value.isfinite().all()) for value in _trained(model).values())

    def put_best_into(self, model: Classifier) -> None:
        """Gives the model the best epoch's weights."""
        with torch.no_grad():
            for name, value in _trained(model).items():
                value.copy_(self.best[name])

    def save(self, checkpoints: Checkpoints, model: Classifier, seconds: float) -> Path:
        """Writes a checkpoint.

        Args:
            seconds: spent so far, before the last resume too.
        """
        tensors = {f"model.{name}": value for name, value in _trained(model).items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= _prefixed("optimizer.", optimizer_tensors(self.optimizer))
        state: dict[str, Any] = {name: getattr(self, name) for name in _COUNTERS}
        if self.averaging is not None:
            tensors |= _prefixed("average.", self.averaging.tensors())
            state["average"] = self.averaging.facts()
        tensors["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random_gpu"] = torch.cuda.get_rng_state()
        state["optimizer"] = optimizer_facts(self.optimizer)
        state["history"] = [record.as_dict() for record in self.history]
        state["seconds"] = seconds
        # A name may stand for the same memory twice (best is the model after its best epoch).
        unshared = {name: value.detach().cpu().clone() for name, value in tensors.items()}
        return checkpoints.save(self.step, unshared, state)

    def restore(self, checkpoints: Checkpoints, model: Classifier) -> None:
        """Goes back to the newest checkpoint, where there is one."""
        kept = checkpoints.load_newest()
        if kept is None:
            return
        tensors, state = kept
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.seconds_before = state["seconds"]
        trained = _trained(model)
        self.best = {
            name: value.to(trained[name].device) for name, value in _named(tensors, "best.").items()
        }
        with torch.no_grad():
            for name, value in trained.items():
                value.copy_(tensors[f"model.{name}"])
        restore_optimizer(self.optimizer, _named(tensors, "optimizer."), state["optimizer"])
        if self.averaging is not None:
            self.averaging.restore(_named(tensors, "average."), state["average"])
        torch.set_rng_state(tensors["random"])
        if "random_gpu" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random_gpu"])


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


def _trained(model: Classifier) -> dict[str, Tensor]:
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
