"""Averages of the weights, which are what is judged and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["Averaging", "Soup", "WeightAverage"]


class Averaging(Protocol):
    """Follows the weights while they are trained, and gives their average to be judged."""

    def after_step(self, step: int) -> None:
        """Step `step` (from 0) is done."""

    def after_epoch(self) -> None:
        """All of an epoch's steps are done."""

    def swap(self) -> None:
        """Exchanges weights and averages; a second call exchanges them back."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold of it; none is copied."""

    def facts(self) -> dict[str, Any]:
        """The rest that a checkpoint must hold, as JSON."""

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Goes back to what `tensors` and `facts` gave."""


class WeightAverage:
    """Exponential moving average of trained weights (Polyak & Juditsky 1992; arXiv:1803.05407).

    Early on the decay is (1 + steps) / (10 + steps), so that the start is soon forgotten.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = list(parameters)
        self._decay = decay
        self._values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Takes the weights after step `step` (from 0) into the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._values, self._parameters, 1.0 - decay)

    def after_epoch(self) -> None: ...

    def swap(self) -> None:
        """Exchanges weights and averages; a second call exchanges them back."""
        _exchange(self._parameters, self._values)

    def tensors(self) -> dict[str, Tensor]:
        """The averages, by their parameters' numbers."""
        return {str(number): value for number, value in enumerate(self._values)}

    def facts(self) -> dict[str, Any]:
        """Nothing: the loop counts the steps."""
        return {}

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],  # noqa: ARG002 - the protocol's; there are none
    ) -> None:
        """Goes back to what `tensors` gave."""
        _copy_into(self._values, tensors)


class Soup:
    """The mean of the weights after each epoch so far; before the first, the weights themselves.

    A soup of checkpoints (Wortsman et al. 2022, arXiv:2203.05482) of one run, as in stochastic
    weight averaging (Izmailov et al. 2018, arXiv:1803.05407).
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._parameters = list(parameters)
        self._values = [parameter.detach().clone() for parameter in parameters]
        self._num_epochs = 0

    def after_step(self, step: int) -> None: ...

    @torch.no_grad()
    def after_epoch(self) -> None:
        """Takes the weights into the mean."""
        self._num_epochs += 1
        torch._foreach_lerp_(self._values, self._parameters, 1.0 / self._num_epochs)

    def swap(self) -> None:
        """Exchanges weights and means; a second call exchanges them back."""
        if self._num_epochs:
            _exchange(self._parameters, self._values)

    def tensors(self) -> dict[str, Tensor]:
        """The means, by their parameters' numbers."""
        return {str(number): value for number, value in enumerate(self._values)}

    def facts(self) -> dict[str, Any]:
        """The number of epochs in the mean."""
        return {"num_epochs": self._num_epochs}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Goes back to what `tensors` and `facts` gave."""
        _copy_into(self._values, tensors)
        self._num_epochs = facts["num_epochs"]


@torch.no_grad()
def _exchange(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for value, parameter in zip(values, parameters, strict=True):
        held = parameter.detach().clone()
        parameter.copy_(value)
        value.copy_(held)


@torch.no_grad()
def _copy_into(values: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> None:
    for number, value in enumerate(values):
        value.copy_(tensors[str(number)])
