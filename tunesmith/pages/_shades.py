"""How strongly words are coloured by what they add."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["shades_of"]

_SHADES = 5
_FAINT = 0.05


def shades_of(values: Sequence[float]) -> list[int]:
    """−5 (against) to 5 (for), 0 for next to nothing; the classes for-1 … against-5 have them."""
    most = max(map(abs, values), default=0.0)
    found = []
    for value in values:
        share = abs(value) / most if most else 0.0
        shade = math.ceil(share * _SHADES) if share >= _FAINT else 0
        found.append(shade if value > 0 else -shade)
    return found
