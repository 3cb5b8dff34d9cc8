"""A runtime over many rows, a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes._listener import Listener
from tunesmith.runtimes import Runtime
from tunesmith.types import Inputs, Outputs

__all__ = ["outputs_in_chunks", "warn_of_cut"]

_ROWS_A_CHUNK = 512


def outputs_in_chunks(runtime: Runtime, inputs: Sequence[Inputs], listener: Listener) -> Outputs:
    """The outputs for n inputs in their order; the listener hears of chunks and of cut texts."""
    listener.stage("predicting", len(inputs))
    scores = []
    lengths: list[int] = []
    for start in range(0, len(inputs), _ROWS_A_CHUNK):
        chunk = inputs[start : start + _ROWS_A_CHUNK]
        part = runtime.outputs(chunk).scores
        assert part is not None
        scores.append(part)
        lengths += runtime.count_tokens(chunk)
        listener.advance(len(chunk))
    warn_of_cut(np.array(lengths), runtime.max_length, listener)
    return Outputs(scores=np.concatenate(scores))


def warn_of_cut(full: NDArray[np.int64], max_length: int, listener: Listener) -> None:
    """Says how many of n texts are cut, and how much of them; `full` is int64 [n], in tokens."""
    cut = full > max_length
    if cut.any():
        lost = float((full[cut] - max_length).sum() / full[cut].sum())
        listener.warn(
            f"{int(cut.sum()):,} of {len(full):,} texts ({cut.mean():.1%}) are longer than "
            f"{max_length} tokens and are cut; of these texts {lost:.0%} is not read"
        )
