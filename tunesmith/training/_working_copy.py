"""Computing in bfloat16 while the weights that are kept and updated stay in float32.

Updates are often smaller than bfloat16 can tell from nothing, so they are made to float32 master
weights (Micikevicius et al. 2018, "Mixed Precision Training", arXiv:1710.03740), and a copy of the
model in bfloat16 computes scores and gradients. On a processor this is faster than autocast, which
casts every layer's input and output on its way (`benchmarks/attention.py`).
"""

from __future__ import annotations

import torch

from tunesmith.bases import Classifier, Precision

__all__ = ["WorkingCopy"]


class WorkingCopy:
    """The model that computes for a master: a bfloat16 copy, or in float32 the master itself.

    Attributes:
        model: computes scores and gradients.
    """

    def __init__(self, master: Classifier, precision: Precision) -> None:
        self._master = master
        self.model = master.at(precision)
        self._pairs = [
            (kept, computing)
            for kept, computing in zip(master.parameters(), self.model.parameters(), strict=True)
            if kept.requires_grad and kept is not computing
        ]

    def hand_over_gradients(self) -> None:
        """Adds the gradients to those of the master's weights, in float32."""
        for kept, computing in self._pairs:
            if computing.grad is None:
                continue
            gradient = computing.grad.to(kept.dtype)
            kept.grad = gradient if kept.grad is None else kept.grad.add_(gradient)
            computing.grad = None

    @torch.no_grad()
    def take_weights(self) -> None:
        """Takes over the master's weights."""
        for kept, computing in self._pairs:
            computing.copy_(kept)

    @torch.no_grad()
    def hand_over_head(self) -> None:
        """Gives the master the copy's head, where that was fitted anew."""
        if self.model is not self._master:
            for kept, fitted in zip(
                self._master.head.parameters(), self.model.head.parameters(), strict=True
            ):
                kept.copy_(fitted)
