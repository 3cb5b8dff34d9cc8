"""The model that computes, and the weights that are kept and updated for it.

Updates are often smaller than bfloat16 can tell from nothing, so they are made to float32 master
weights (Micikevicius et al. 2018, "Mixed Precision Training", arXiv:1710.03740), and a copy of the
model in bfloat16 computes scores and gradients. On a processor this is faster than autocast, which
casts every layer's input and output on its way (`benchmarks/attention.py`). float16 works the same
way, with a `LossScale`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn

from tunesmith.bases import Classifier, Precision
from tunesmith.training._processes import Processes

__all__ = ["Working", "WorkingCopy"]


class Working(Protocol):
    """The model that computes, and the weights that are updated.

    Attributes:
        model: computes scores and gradients.
        trained: name → the float32 weight that is updated, or this process's part of it.
        sharded: whether `trained` holds parts. Then each pass through the model is made by all
            processes together, each on rows of its own, and sums the gradients.
    """

    model: Classifier
    trained: dict[str, nn.Parameter]
    sharded: bool

    def build_optimizer(
        self, build: Callable[[Classifier], torch.optim.Optimizer]
    ) -> torch.optim.Optimizer:
        """What `build` makes for a whole model, to update `trained`."""

    def hand_over_gradients(self) -> None:
        """Adds the gradients of the model's weights to those of `trained`, in float32."""

    def sum_gradients(self, processes: Processes) -> None:
        """Sums over the processes the gradients that no pass has summed."""

    def clip_gradients(self, max_norm: float) -> float:
        """Scales all gradients to a norm of at most `max_norm`; returns what it was.

        Pascanu et al. 2013, arXiv:1211.5063.
        """

    def drop_gradients(self) -> None:
        """Forgets all gradients, those of a pass that failed too."""

    def take_weights(self) -> None:
        """Gives the model the weights in `trained`."""

    def hand_over_head(self) -> None:
        """Gives `trained` the model's head, where that was fitted anew."""

    def whole(self, weight: Tensor, value: Tensor) -> Tensor:
        """A tensor for the whole of a weight; all processes call it together.

        Args:
            weight: one of `trained`.
            value: for what `trained` holds of it; of another shape it is returned as it is.
        """

    def own(self, weight: Tensor, value: Tensor) -> Tensor:
        """Of `whole` the way back: what this process holds of a tensor for the whole weight."""

    def keep(self, values: Mapping[str, Tensor]) -> None:
        """Gives the model that is trained, the master, these values of `trained`, by name."""

    def catching_up(self) -> AbstractContextManager[None]:
        """Within it a pass ends one that failed midway in this process alone; see `sharded`.

        The passes' exchange is made from where the other one stopped, so that the other processes
        wait for nothing. Its loss and its gradients are of no use.
        """

    def start_pass(self) -> None:
        """A pass begins."""


class WorkingCopy:
    """The model that computes: in half precision a copy of the master, else the master itself.

    See `Working` for what it must do.
    """

    sharded = False

    def __init__(self, master: Classifier, precision: Precision) -> None:
        self._master = master
        self.model = master.at(precision)
        self.trained = {
            name: parameter
            for name, parameter in master.named_parameters()
            if parameter.requires_grad
        }
        self._pairs = [
            (kept, computing)
            for kept, computing in zip(master.parameters(), self.model.parameters(), strict=True)
            if kept.requires_grad and kept is not computing
        ]

    def build_optimizer(
        self, build: Callable[[Classifier], torch.optim.Optimizer]
    ) -> torch.optim.Optimizer:
        return build(self._master)

    def hand_over_gradients(self) -> None:
        for kept, computing in self._pairs:
            if computing.grad is None:
                continue
            gradient = computing.grad.to(kept.dtype)
            kept.grad = gradient if kept.grad is None else kept.grad.add_(gradient)
            computing.grad = None

    def sum_gradients(self, processes: Processes) -> None:
        processes.sum_gradients(list(self.trained.values()))

    def clip_gradients(self, max_norm: float) -> float:
        return float(torch.nn.utils.clip_grad_norm_(self.trained.values(), max_norm))

    def drop_gradients(self) -> None:
        for kept, computing in self._pairs:
            kept.grad = computing.grad = None
        for kept in self.trained.values():
            kept.grad = None

    @torch.no_grad()
    def take_weights(self) -> None:
        for kept, computing in self._pairs:
            computing.copy_(kept)

    @torch.no_grad()
    def hand_over_head(self) -> None:
        if self.model is not self._master:
            for kept, fitted in zip(
                self._master.head.parameters(), self.model.head.parameters(), strict=True
            ):
                kept.copy_(fitted)

    def whole(self, weight: Tensor, value: Tensor) -> Tensor:  # noqa: ARG002
        return value

    def own(self, weight: Tensor, value: Tensor) -> Tensor:  # noqa: ARG002
        return value

    @torch.no_grad()
    def keep(self, values: Mapping[str, Tensor]) -> None:
        for name, kept in self.trained.items():
            kept.copy_(values[name])

    def catching_up(self) -> AbstractContextManager[None]:
        raise NotImplementedError("no pass is made by several processes together")

    def start_pass(self) -> None: ...
