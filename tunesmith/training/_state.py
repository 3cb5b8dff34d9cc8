"""How far a fit has come: all that a checkpoint must hold for the rest to be the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.bases import Classifier
from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._optimizer import WeightAverage
from tunesmith.training.callbacks import EpochRecord

__all__ = ["TrainingState"]


@dataclass(slots=True)
class TrainingState:
    """Counters, history, and the best epoch's weights.

    Attributes:
        epoch: epochs done.
        batch: batches done of the epoch at hand.
        step: optimiser steps done.
        seconds_before: time spent before the last resume.
    """

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
        self.step += 1
        self.batch += 1
        self.loss_sum += loss * rows
        self.loss_rows += rows

    def mean_loss(self) -> float:
        """The mean loss of the rows since the last call."""
        mean = self.loss_sum / max(self.loss_rows, 1)
        self.loss_sum, self.loss_rows = 0.0, 0
        return mean

    def record(self, record: EpochRecord, model: Classifier, *, keep_start: bool) -> None:
        """Adds an epoch, and keeps the model's weights where it is the best so far."""
        rivals = [old for old in self.history if old.epoch > 0 or keep_start]
        leading = next((old for old in rivals if old.epoch == self.best_epoch), None)
        self.history.append(record)
        if leading is None or (record.metric, -record.validation_loss) > (
            leading.metric,
            -leading.validation_loss,
        ):
            self.best_epoch = record.epoch
            self.best = {name: value.clone() for name, value in _trained(model).items()}

    def put_best_into(self, model: Classifier) -> None:
        """Gives the model the best epoch's weights."""
        with torch.no_grad():
            for name, value in _trained(model).items():
                value.copy_(self.best[name])

    def save(
        self,
        checkpoints: Checkpoints,
        model: Classifier,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None,
    ) -> Path:
        """Writes a checkpoint."""
        tensors = {f"model.{name}": value for name, value in _trained(model).items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        if average is not None:
            tensors |= {f"average.{i}": value for i, value in enumerate(average.values)}
        for index, own in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in own.items()}
        tensors["random"] = torch.get_rng_state()
        counters = ("epoch", "batch", "step", "loss_sum", "loss_rows", "best_epoch")
        state: dict[str, Any] = {name: getattr(self, name) for name in counters}
        state["history"] = [record.as_dict() for record in self.history]
        # A name may stand for the same memory twice (best is the model after its best epoch).
        unshared = {name: value.detach().cpu().clone() for name, value in tensors.items()}
        return checkpoints.save(self.step, unshared, state)

    def restore(
        self,
        checkpoints: Checkpoints,
        model: Classifier,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None,
    ) -> None:
        """Goes back to the newest checkpoint, where there is one."""
        kept = checkpoints.load_newest()
        if kept is None:
            return
        tensors, state = kept
        self.history = [EpochRecord(**record) for record in state.pop("history")]
        for name in ("epoch", "batch", "step", "loss_sum", "loss_rows", "best_epoch"):
            setattr(self, name, state[name])
        self.seconds_before = self.history[-1].seconds if self.history else 0.0
        self.best = _named(tensors, "best.")
        with torch.no_grad():
            for name, value in _trained(model).items():
                value.copy_(tensors[f"model.{name}"])
            for i, value in enumerate(average.values if average is not None else ()):
                value.copy_(tensors[f"average.{i}"])
        own: dict[int, dict[str, Tensor]] = {}
        for name, value in _named(tensors, "optimizer.").items():
            index, _, part = name.partition(".")
            own.setdefault(int(index), {})[part] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": own, "param_groups": groups})
        torch.set_rng_state(tensors["random"])


def _trained(model: Classifier) -> dict[str, Tensor]:
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
