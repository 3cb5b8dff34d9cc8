"""A model whose weights are shared out among processes that train together.

Each process holds a part of every weight, of its gradient, of the averages and of the optimiser's
memory; a layer's weights are gathered when it is called, and let go after it (Rajbhandari et al.
2020, "ZeRO", arXiv:1910.02054; Zhao et al. 2023, "PyTorch FSDP", arXiv:2304.11277). The gathering
is torch's `fully_shard`; what is updated, averaged and kept are the parts, as plain tensors.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from tunesmith.bases import DTYPES, Classifier, Precision, lists_of_layers
from tunesmith.training._exchange import Exchange
from tunesmith.training._processes import Processes

__all__ = ["ShardedCopy", "can_shard"]

_TRIAL_LENGTH = 4


def can_shard() -> bool:
    """Whether this torch has what is needed: calls that version 2.13 brought."""
    return distributed.is_available() and hasattr(distributed, "all_gather_single")


class ShardedCopy:
    """A sharded copy of a master, which waits in the processor's memory; see `Working`.

    The head is whole in every process, as are weights without a dimension: they are small, and the
    head may be fitted anew.
    """

    sharded = True

    def __init__(self, master: Classifier, precision: Precision, processes: Processes) -> None:
        from torch.distributed.tensor import DTensor

        self._master = master
        self._processes = processes
        self._exchange = Exchange()
        device = next(master.parameters()).device
        master.cpu()
        self.model = copy.deepcopy(master)
        _shard(self.model, device, precision, self._exchange)
        self._root: Any = self.model
        # Their hooks find one another in the first pass, and lay the parts out anew.
        trial = torch.zeros(1, _TRIAL_LENGTH, dtype=torch.long, device=device)
        with torch.no_grad():
            self.model({"input_ids": trial})
        self.trained: dict[str, nn.Parameter] = {}
        self._parts: dict[nn.Parameter, nn.Parameter] = {}  # torch's → ours, of the same memory
        self._shapes: dict[Tensor, torch.Size] = {}  # of the whole weight
        self._device = device
        for name, parameter in self.model.named_parameters():
            if not parameter.requires_grad:
                continue
            held: Any = parameter.detach()
            if isinstance(held, DTensor):
                own = nn.Parameter(held.to_local())
                self._parts[parameter] = own
                self._shapes[own] = parameter.shape
                self.trained[name] = own
            else:
                self.trained[name] = parameter

    def build_optimizer(
        self, build: Callable[[Classifier], torch.optim.Optimizer]
    ) -> torch.optim.Optimizer:
        """What decays at which rate is decided by the whole weights' shapes; then it gets parts."""
        optimizer = build(self.model)
        for group in optimizer.param_groups:
            group["params"] = [self._parts.get(weight, weight) for weight in group["params"]]
        assert not any(optimizer.state.values())
        optimizer.state.clear()  # schedule-free looked up what it has, and left an empty place
        return optimizer

    def hand_over_gradients(self) -> None:
        for parameter, own in self._parts.items():
            if parameter.grad is None:
                continue
            gradient = parameter.grad.to_local()  # type: ignore[attr-defined]
            own.grad = gradient if own.grad is None else own.grad.add_(gradient)
            parameter.grad = None

    def sum_gradients(self, processes: Processes) -> None:
        # Each process makes the same passes, so that all lack the gradients that one lacks.
        processes.sum_gradients([own for own in self._whole_ones() if own.grad is not None])

    def clip_gradients(self, max_norm: float) -> float:
        parts = [own.grad for own in self._parts.values() if own.grad is not None]
        whole = [own.grad for own in self._whole_ones() if own.grad is not None]
        square = self._processes.sum(_norm(parts) ** 2) + _norm(whole) ** 2
        norm = math.sqrt(square)
        if norm > max_norm:
            for gradient in (*parts, *whole):
                gradient.mul_(max_norm / (norm + 1e-6))
        return norm

    def drop_gradients(self) -> None:
        for weight in (*self._parts, *self.trained.values()):
            weight.grad = None

    def take_weights(self) -> None: ...

    def hand_over_head(self) -> None: ...

    def whole(self, weight: Tensor, value: Tensor) -> Tensor:
        if weight not in self._shapes or value.shape != weight.shape:
            return value
        shape = self._shapes[weight]
        rows = -(-shape[0] // self._processes.size)
        padded = value.new_zeros(rows, *shape[1:])
        padded[: len(value)] = value.detach()
        gathered = value.new_empty(rows * self._processes.size, *shape[1:])
        distributed.all_gather_single(gathered, padded)
        return gathered[: shape[0]]

    def own(self, weight: Tensor, value: Tensor) -> Tensor:
        if weight not in self._shapes or value.shape != self._shapes[weight]:
            return value
        rows = -(-len(value) // self._processes.size)
        start = min(rows * self._processes.rank, len(value))
        return value[start : start + len(weight)].clone()

    @torch.no_grad()
    def keep(self, values: Mapping[str, Tensor]) -> None:
        masters = dict(self._master.named_parameters())
        for name, own in self.trained.items():
            masters[name].copy_(self.whole(own, values[name]))
        self._master.to(self._device)

    @contextmanager
    def catching_up(self) -> Iterator[None]:
        self._root.reset_iter_state()
        with self._exchange.catching_up():
            yield
        self.drop_gradients()

    def start_pass(self) -> None:
        self._exchange.start()

    def _whole_ones(self) -> list[nn.Parameter]:
        return [own for own in self.trained.values() if own not in self._shapes]


def _shard(
    model: Classifier, device: torch.device, precision: Precision, exchange: Exchange
) -> None:
    """Shares out the weights of each layer, and then all others but for the small ones."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import (
        MixedPrecisionPolicy,
        fully_shard,
        register_fsdp_forward_method,
    )

    dtype = None if precision == "fp32" else DTYPES[precision]
    small = {p for p in model.parameters() if p.ndim == 0} | set(model.head.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data = parameter.data.contiguous()
            if parameter in small:
                parameter.data = parameter.data.to(device)
    if dtype is not None:
        _cast_buffers(model.backbone, dtype)
    given: dict[str, Any] = {
        "mesh": init_device_mesh(device.type, (distributed.get_world_size(),)),
        # A root that stays gathered would not see that the averages are swapped in.
        "reshard_after_forward": True,
        "mp_policy": MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32),
        "ignored_params": small,
    }
    for layers in lists_of_layers(model):
        for layer in layers:
            fully_shard(layer, **given)
            exchange.of(layer)
    # The head is in float32, and casts what it is given by itself.
    fully_shard(model, **given)
    exchange.of(model)
    register_fsdp_forward_method(model, "features")


def _cast_buffers(backbone: nn.Module, dtype: torch.dtype) -> None:
    """Casts what is not a weight; rotary angles stay, as in `Classifier.at`."""
    for name, value in list(backbone.named_buffers(remove_duplicate=False)):
        if value.is_floating_point() and not name.endswith("inv_freq"):
            parent, _, own = name.rpartition(".")
            setattr(backbone.get_submodule(parent), own, value.to(dtype))


def _norm(gradients: list[Tensor]) -> float:
    if not gradients:
        return 0.0
    return float(torch.nn.utils.get_total_norm(gradients))
