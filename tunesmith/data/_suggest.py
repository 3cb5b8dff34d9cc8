"""Words for errors: what the user may have meant, and lists that stay short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

__all__ = ["did_you_mean", "listed", "rows_text"]

_MOST = 80


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """ "did you mean 'label'?", or "" where nothing comes near `name`."""
    by_folded = {choice.casefold(): choice for choice in choices}
    near = get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    if not near:
        return ""
    return f"did you mean {' or '.join(repr(by_folded[folded]) for folded in near)}?"


def listed(names: Iterable[object], most: int = 10) -> str:
    """ "'a', 'b', 'c'", cut after `most` with a count of the rest."""
    every = list(names)
    shown = ", ".join(repr(_cut(name)) for name in every[:most])
    return f"{shown} and {len(every) - most:,} more" if len(every) > most else shown


def _cut(name: object) -> object:
    """Long texts, which are no names, without their end."""
    return f"{name[:_MOST]}…" if isinstance(name, str) and len(name) > _MOST else name


def rows_text(rows: Sequence[int] | NDArray[np.int64], most: int = 5) -> str:
    """ "row 3", "rows 3, 17, 20" or "rows 3, 17, 20, 21, 40 and 7 more"."""
    shown = ", ".join(str(row) for row in rows[:most])
    rest = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    return f"row{'' if len(rows) == 1 else 's'} {shown}{rest}"
