"""One step of the optimiser: gradients over all of the step's rows, clipped, then the update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.errors import DivergedError, TrainingError
from tunesmith.training._loss_scale import LossScale
from tunesmith.training._processes import Processes
from tunesmith.training._settings import Rows
from tunesmith.training._working_copy import Working
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

    working: Working
    optimizer: torch.optim.Optimizer
    criterion: Criterion
    rows: Rows
    processes: Processes
    clip_norm: float
    max_tokens: int | None
    on_less_memory: Callable[[int], None]
    loss_scale: LossScale = field(default_factory=lambda: LossScale(needed=False))

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
        self.loss_scale.undo(self.working.trained.values())
        norm = self.working.clip_gradients(self.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        if self.loss_scale.allows(norm):
            self.optimizer.step()
        self.working.drop_gradients()
        self.working.take_weights()
        return loss

    def _gradients(self, indices: NDArray[np.int64]) -> float:
        """Leaves the gradient of the mean loss in the weights; tries again in smaller parts."""
        random, on_gpu = torch.get_rng_state(), torch.cuda.is_available()
        random_gpu = torch.cuda.get_rng_state() if on_gpu else random
        while True:
            try:
                return self._once(indices)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._take_less(indices, error)
            self.working.drop_gradients()
            torch.set_rng_state(random)
            if on_gpu:
                torch.cuda.set_rng_state(random_gpu)

    def _once(self, indices: NDArray[np.int64]) -> float:
        processes, divisible = self.processes, self.criterion.divisible
        parts = list(self._parts(processes.share(indices) if divisible else indices))
        if self.working.sharded:
            total = self._together(parts, indices)
        else:
            total = sum(self._pass(part, len(indices)) for part in parts)
        if self.working.sharded or divisible:
            self.working.sum_gradients(processes)
        return processes.sum(total) if divisible else total

    def _pass(self, part: NDArray[np.int64], num_rows: int, *, weight: float = 1.0) -> float:
        """Adds the gradient of a part's share of the mean loss of `num_rows`; returns the share.

        Args:
            weight: of the gradient.
        """
        device = self.working.model.head.weight.device
        batch = {name: x.to(device) for name, x in self.rows.tokens.batch(part).items()}
        targets = torch.from_numpy(self.rows.targets[part]).to(device)
        loss = self.criterion.losses(self.working.model, batch, targets).sum() / num_rows
        share = float(loss.detach())
        weight *= self.loss_scale.value
        (loss if weight == 1.0 else loss * weight).backward()  # type: ignore[no-untyped-call]
        self.working.hand_over_gradients()
        return share

    def _together(self, parts: Sequence[NDArray[np.int64]], indices: NDArray[np.int64]) -> float:
        """The parts' passes where all processes make each pass together, and sum its gradients.

        One with fewer parts makes passes that count for nothing; where the memory of one does not
        suffice, all of them hear of it after the pass.

        Raises:
            MemoryError: one of them has too little.
        """
        # What is not shared out is summed all the same.
        weight = 1.0 if self.criterion.divisible else 1.0 / self.processes.size
        total = 0.0
        for place in range(self.processes.largest(len(parts))):
            failure = ""
            self.working.start_pass()
            try:
                if place < len(parts):
                    total += self._pass(parts[place], len(indices), weight=weight)
                else:
                    self._pass(self._shortest(indices), 1, weight=0.0)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                failure = str(error)  # the error itself would keep the pass's memory
            if failure:
                self._catch_up(indices)
            if self.processes.any(bool(failure)):
                raise MemoryError(failure or "in another process")
        return total

    def _catch_up(self, indices: NDArray[np.int64]) -> None:
        try:
            with self.working.catching_up():
                self._pass(self._shortest(indices), 1, weight=0.0)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise _too_long(int(self.rows.tokens.lengths[indices].min())) from error

    def _shortest(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return indices[[int(self.rows.tokens.lengths[indices].argmin())]]

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
        if not self.criterion.divisible:
            raise TrainingError(
                f"the memory does not suffice for {len(indices)} texts that are compared with each "
                f"other, the longest of {lengths.max()} tokens",
                mend="--set training.batch_size=… (half of it), --set base.max_length=… (half of "
                "it), or --set training.gradient_checkpointing=true",
            ) from error
        whole = len(indices) * int(lengths.max())
        limit = min(self.max_tokens or whole, whole) // 2
        if limit < int(lengths.max()):
            raise _too_long(int(lengths.max())) from error
        self.max_tokens = limit
        self.on_less_memory(limit)


def check_loss(value: float, where: str) -> None:
    """Ends training whose loss is not a number any more.

    Raises:
        DivergedError: it is not.
    """
    if not math.isfinite(value):
        raise DivergedError(
            f"the loss is {value} {where}",
            mend="--set training.learning_rate=… (half of it), or --set training.precision=fp32",
        )


def _too_long(num_tokens: int) -> TrainingError:
    return TrainingError(
        f"the memory does not suffice for a text of {num_tokens} tokens",
        mend="--set base.max_length=… (half of it), --set training.batch_size=… (half of it), or "
        "--set training.gradient_checkpointing=true",
    )


def _is_out_of_memory(error: Exception) -> bool:
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or _CPU_OUT_OF_MEMORY in str(error)
