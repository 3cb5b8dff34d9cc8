"""The processes that train together, started by torchrun or `accelerate launch`; usually one.

Each step's rows are shared out among them, and their gradients are summed before the update, so
that all hold the same weights after it: data parallelism as in `DistributedDataParallel`, with one
reduction a step however many parts the step is worked on in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cache

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor, distributed

__all__ = ["Processes", "join_processes"]

_BUCKET_ELEMENTS = 8_000_000
_LONGEST_WAIT = timedelta(days=1)


class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; process 0 writes checkpoints, logs and results.
        size: how many there are.
    """

    def __init__(self) -> None:
        together = distributed.is_available() and distributed.is_initialized()
        self.rank = distributed.get_rank() if together else 0
        self.size = distributed.get_world_size() if together else 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of a step that this process works on; none where rows are few."""
        return indices[self.rank :: self.size]

    @torch.no_grad()
    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replaces each parameter's gradient by the sum over all processes.

        Gradients travel some megabytes at a time, since many small messages are slow.
        """
        if self.size == 1:
            return
        bucket: list[Tensor] = []
        for place, parameter in enumerate(parameters):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter.grad)
            full = sum(gradient.numel() for gradient in bucket) >= _BUCKET_ELEMENTS
            if full or place == len(parameters) - 1:
                _sum_in_place(bucket)
                bucket = []

    @torch.no_grad()
    def take_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Gives each tensor the values that it has in process 0."""
        if self.size == 1:
            return
        for tensor in tensors:
            sent = self._sent(tensor.detach().contiguous())
            distributed.broadcast(sent, 0)
            tensor.copy_(sent)

    def sum(self, value: float) -> float:
        """The sum of a figure over all processes."""
        if self.size == 1:
            return value
        # float64 where the device has it: the figure must be the same as one process would have.
        tensor = torch.tensor(value, dtype=torch.float32 if _on_mps() else torch.float64)
        tensor = self._sent(tensor)
        distributed.all_reduce(tensor)
        return float(tensor)

    def largest(self, value: int) -> int:
        """The largest of a number in all processes."""
        if self.size == 1:
            return value
        tensor = self._sent(torch.tensor(value))
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return int(tensor)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return self.sum(float(flag)) > 0

    def wait(self) -> None:
        """Returns when all have come here."""
        if self.size > 1:
            distributed.barrier()

    def wait_for_first(self) -> None:
        """Returns when all have come here, the first one after work that it does alone.

        `wait` gives up after minutes, so that processes that do not answer are found out.
        """
        if self.size > 1:
            distributed.barrier(group=_patient_group())

    def figures_from_first(self, *figures: float) -> tuple[float, ...]:
        """The first process's figures, in all of them."""
        found: list[float] = json.loads(self.from_first(lambda: json.dumps(figures)))
        return tuple(found)

    def from_first(self, make: Callable[[], str]) -> str:
        """A text that process 0 makes, in all of them."""
        if self.size == 1:
            return make()
        # Bytes in a tensor: torch's own broadcast of objects would send a pickle.
        content = make().encode() if self.is_first else b""
        size = int(self.sum(len(content)))
        filled = np.frombuffer(content.ljust(size, b"\0"), dtype=np.uint8)
        tensor = self._sent(torch.from_numpy(filled.astype(np.int32)))
        distributed.broadcast(tensor, 0)
        return tensor.cpu().numpy().astype(np.uint8).tobytes().decode()

    @staticmethod
    def _sent(tensor: Tensor) -> Tensor:
        return tensor.cuda() if distributed.get_backend() == "nccl" else tensor


def join_processes() -> Processes:
    """Joins the processes that torchrun or `accelerate launch` started; alone, there is just one.

    accelerate takes nccl or gloo, and gives each process its GPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        PartialState()
        _patient_group()
    return Processes()


@cache
def _patient_group() -> distributed.ProcessGroup:
    """All processes, with time for each other; made when they join, since that has to be quick."""
    group: distributed.ProcessGroup = distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT)
    return group


def _sum_in_place(tensors: Sequence[Tensor]) -> None:
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()


def _on_mps() -> bool:
    return torch.backends.mps.is_available()
