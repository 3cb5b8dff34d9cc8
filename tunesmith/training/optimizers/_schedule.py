"""How the rate rises and falls."""

from __future__ import annotations

import math

from tunesmith.config import Schedule

__all__ = ["rate_at"]

_SHARE_OF_DECAY = 0.2


def rate_at(
    schedule: Schedule, step: int, total_steps: int, peak: float, warmup_fraction: float
) -> float:
    """The rate of step `step` of `total_steps`: up in a line to `peak`, then as `schedule` says.

    linear: down in a line (Devlin et al. 2019, arXiv:1810.04805). cosine: down in half a wave,
    slowly first and last (Loshchilov & Hutter 2017, arXiv:1608.03983). constant: not at all. wsd:
    warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395): down in a line over the last fifth
    of the steps. All of them would reach 0 in the step after the last.

    Args:
        step: from 0, less than `total_steps`.
        warmup_fraction: share of the steps in which the rate rises, below 1 (Goyal et al. 2017,
            arXiv:1706.02677).
    """
    warmup = round(total_steps * warmup_fraction)
    if step < warmup:
        return peak * ((step + 1) / warmup)
    falling = max(total_steps - warmup, 1)
    if schedule == "constant":
        return peak
    if schedule == "wsd":
        falling = min(falling, math.ceil(total_steps * _SHARE_OF_DECAY))
    left = min(1.0, (total_steps - step) / falling)
    # The square of a sine is the half wave without its rounding to 0 near the end.
    return peak * (math.sin(left * math.pi / 2) ** 2 if schedule == "cosine" else left)
