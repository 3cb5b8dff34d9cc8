"""One step of the optimiser: gradients over all of the step's rows, clipped, then the update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.errors import TrainingError
from tunesmith.training._processes import Processes
from tunesmith.training._settings import Rows
from tunesmith.training._working_copy import WorkingCopy
from tunesmith.training.criteria import Criterion

__all__ = ["Stepper", "check_loss"]

_CPU_OUT_OF_MEMORY = "not enough memory"


@dataclass(slots=True)
class Stepper:
    """Makes the steps of a fit.

    A step's loss is the mean over its rows, whatever the number of parts and of processes that they
    are worked on in. (Averaging the parts' means instead lets rows in small parts weigh more, which
    is a known fault of gradient accumulation.)

    Attributes:
        max_tokens: the most tokens, padding included, that are worked on at once; None: all of a
            step's. Halved where the memory does not suffice, for this step and all that follow.
        on_less_memory: hears of that.
    """

    working: WorkingCopy
    optimizer: torch.optim.Optimizer
    criterion: Criterion
    rows: Rows
    processes: Processes
    clip_norm: float
    max_tokens: int | None
    on_less_memory: Callable[[int], None]
    _trained: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        groups = self.optimizer.param_groups
        self._trained = [parameter for group in groups for parameter in group["params"]]

    def step(self, indices: NDArray[np.int64], rate: float, number: int) -> float:
        """One step on the rows at `indices`; returns their mean loss.

        Args:
            rate: of the groups whose `rate_scale` is 1.
            number: the step's, from 1, for messages.

        Raises:
            TrainingError: the loss is not a number any more, or a single row is too large.
        """
        loss = self._gradients(indices)
        check_loss(loss, f"at step {number}")
        torch.nn.utils.clip_grad_norm_(self._trained, self.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.working.take_weights()
        return loss

    def _gradients(self, indices: NDArray[np.int64]) -> float:
        """Leaves the gradient of the mean loss in the weights; tries again in smaller parts."""
        random = torch.get_rng_state()
        while True:
            try:
                return self._once(indices)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._take_less(indices, error)
            self.optimizer.zero_grad()
            torch.set_rng_state(random)

    def _once(self, indices: NDArray[np.int64]) -> float:
        processes = self.processes
        own = processes.share(indices) if self.criterion.divisible else indices
        device = self._trained[0].device
        total = 0.0
        for part in self._parts(own):
            batch = {name: x.to(device) for name, x in self.rows.tokens.batch(part).items()}
            targets = torch.from_numpy(self.rows.targets[part]).to(device)
            loss = self.criterion.losses(self.working.model, batch, targets).sum() / len(indices)
            total += float(loss.detach())
            loss.backward()  # type: ignore[no-untyped-call]
            self.working.hand_over_gradients()
        if not self.criterion.divisible:
            return total
        processes.sum_gradients(self._trained)
        return processes.sum(total)

    def _parts(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """The rows in parts of at most `max_tokens`, neighbours in length together."""
        if not len(indices):
            return
        lengths = self.rows.tokens.lengths[indices]
        whole = len(indices) * int(lengths.max())
        if self.max_tokens is None or whole <= self.max_tokens or not self.criterion.divisible:
            yield indices
            return
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(1, self.max_tokens // int(lengths[order[start]]))
            yield indices[order[start : start + size]]
            start += size

    def _take_less(self, indices: NDArray[np.int64], error: Exception) -> None:
        """Halves `max_tokens`, or gives up where nothing smaller is left."""
        lengths = self.rows.tokens.lengths[indices]
        whole = len(indices) * int(lengths.max())
        limit = min(self.max_tokens or whole, whole) // 2
        if limit < int(lengths.max()) or not self.criterion.divisible:
            raise TrainingError(
                f"the memory does not suffice for a text of {int(lengths.max())} tokens",
                mend="--set base.max_length=… (half of it), --set training.batch_size=… (half of "
                "it), or --set training.gradient_checkpointing=true",
            ) from error
        self.max_tokens = limit
        self.on_less_memory(limit)


def check_loss(value: float, where: str) -> None:
    """Ends training whose loss is not a number any more.

    Raises:
        TrainingError: it is not.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value} {where}",
            mend="--set training.learning_rate=… (half of it), or --set training.precision=fp32",
        )


def _is_out_of_memory(error: Exception) -> bool:
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or _CPU_OUT_OF_MEMORY in str(error)
