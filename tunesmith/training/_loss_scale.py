"""Gradients in float16 that neither vanish nor overflow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from tunesmith.errors import TrainingError

__all__ = ["LossScale"]

_FIRST = 2.0**16
_SMALLEST = 2.0**-14
_STEPS_TO_GROW = 2000


class LossScale:
    """Dynamic loss scaling (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).

    Small gradients are 0 in float16. So the loss is multiplied before the backward pass, and the
    sums of the gradients, which are in float32, are divided again. A step whose gradient overflows
    is left out and the scale halved; after 2,000 steps without it is doubled. The constants are
    those of `torch.amp.GradScaler`, which asks each tensor whether it is finite; here the norm
    tells, which is known for clipping, and is the same in all processes.

    Attributes:
        value: what a loss is multiplied with; 1 where there is no float16.
    """

    def __init__(self, *, needed: bool) -> None:
        self.value = _FIRST if needed else 1.0
        self._needed = needed
        self._good_steps = 0

    def undo(self, weights: Iterable[Tensor]) -> None:
        """Divides the gradients of the weights."""
        if self._needed:
            for weight in weights:
                if weight.grad is not None:
                    weight.grad.mul_(1.0 / self.value)

    def allows(self, norm: float) -> bool:
        """Whether a step with this norm of its gradient is to be made; adjusts the scale.

        Raises:
            TrainingError: gradients overflow however small the scale is.
        """
        if not self._needed or math.isfinite(norm):
            self._good_steps += 1
            if self._needed and self._good_steps % _STEPS_TO_GROW == 0:
                self.value *= 2.0
            return True
        self.value /= 2.0
        self._good_steps = 0
        if self.value < _SMALLEST:
            raise TrainingError(
                "the gradient is too large for fp16", mend="--set training.precision=fp32"
            )
        return False

    def facts(self) -> dict[str, Any]:
        """What a checkpoint must hold of it, as JSON."""
        return {"value": self.value, "good_steps": self._good_steps}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Goes back to what `facts` gave."""
        self.value, self._good_steps = facts["value"], facts["good_steps"]
