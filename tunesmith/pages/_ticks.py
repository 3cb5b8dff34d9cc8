"""Where the ticks of an axis lie."""

from __future__ import annotations

import math

__all__ = ["even_ticks"]


def even_ticks(low: float, high: float, most: int, *, is_whole: bool = False) -> list[float]:
    """Round numbers from low to high, at equal distances.

    Args:
        low, high: the ends; high is greater.
        most: how many there are at the most, give or take one; two or more.
        is_whole: whether the numbers between whole ones mean nothing.
    """
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    step = max(1.0, round(step)) if is_whole else step
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(step * place, 10) for place in range(first, last + 1)]
