"""An optimiser for matrices, together with one for all the rest."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tunesmith.training.optimizers._groups import Group

__all__ = ["MuonWithAdamW"]


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982), and AdamW where it is not for.

    Muon makes the momentum of a matrix orthogonal, so that its update moves all directions alike.
    It is meant for the linear maps inside the layers; embeddings, head, norms and biases are
    AdamW's. Its updates are scaled as in Liu et al., to the size of AdamW's, so that one rate suits
    both. It is meant for large batches, as an update costs the same for any: about 10^11 operations
    for 10 M weights, in bfloat16, which takes seconds on a processor that emulates it.

    Args:
        matrices: groups of parameters [rows, columns] for Muon.
        others: groups for AdamW.
        momentum: Muon's, as Nesterov's.
    """

    def __init__(self, matrices: list[Group], others: list[Group], *, momentum: float) -> None:
        self._parts: dict[str, torch.optim.Optimizer] = {}
        if matrices:
            self._parts["muon"] = torch.optim.Muon(
                matrices, momentum=momentum, nesterov=momentum > 0, adjust_lr_fn="match_rms_adamw"
            )
        if others:
            self._parts["adamw"] = torch.optim.AdamW(others, fused=True)
        groups = [
            {**group, "part": name}
            for name, part in self._parts.items()
            for group in part.param_groups
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all; returns what `closure` does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for name, part in self._parts.items():
            # Loading a state replaces groups and state, so the parts are given them anew.
            part.param_groups = [group for group in self.param_groups if group["part"] == name]
            part.state = self.state
            part.step()
        return loss
