"""How shards travel between processes, and how a pass that failed in one of them is ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["Exchange"]


class Exchange:
    """Gathers weights and sums gradients as `fully_shard` asks for, and counts.

    A pass asks in every process for the same exchanges in the same order. Where one fails midway
    the others wait for the rest; so it is made again on a few rows, with the first ones left out.
    """

    def __init__(self) -> None:
        self._done = 0
        self._left_out = 0

    def start(self) -> None:
        """A pass begins."""
        self._done = 0

    @contextmanager
    def catching_up(self) -> Iterator[None]:
        """Within it the exchanges are left out that were made since `start`."""
        self._left_out, self._done = self._done, 0
        try:
            yield
        finally:
            self._left_out = 0

    def next_is_due(self) -> bool:
        """Counts an exchange; whether it is to be made."""
        self._done += 1
        return self._done > self._left_out

    def of(self, module: Any) -> None:
        """Takes over the exchanges of a module that `fully_shard` was called on."""
        module.set_custom_all_gather(_Gather(self))
        module.set_custom_reduce_scatter(_ReduceScatter(self))
        # Each process's loss is its share of the step's mean, so that the sum is what is wanted.
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)


class _Exchanged:
    """What torch asks of both (`torch.distributed.fsdp._fully_shard._fsdp_api.Comm`)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.empty(*size, dtype=dtype, device=device)


class _Gather(_Exchanged):
    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: Any, async_op: bool = False
    ) -> Any:
        if self._exchange.next_is_due():
            return distributed.all_gather_single(
                output_tensor, input_tensor, group=group, async_op=async_op
            )
        output_tensor.zero_()
        return None


class _ReduceScatter(_Exchanged):
    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: Any,
        op: Any,
        async_op: bool = False,
    ) -> Any:
        if self._exchange.next_is_due():
            return distributed.reduce_scatter_single(
                output_tensor, input_tensor, op=op, group=group, async_op=async_op
            )
        output_tensor.zero_()
        return None
