"""A runtime over many rows, a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.recipes._listener import Listener
from tunesmith.runtimes import Runtime
from tunesmith.types import Inputs, Outputs

__all__ = ["outputs_in_chunks"]

_ROWS_A_CHUNK = 512


def outputs_in_chunks(runtime: Runtime, inputs: Sequence[Inputs], listener: Listener) -> Outputs:
    """The outputs for n inputs in their order; the listener hears of each chunk."""
    listener.stage("predicting", len(inputs))
    scores = []
    for start in range(0, len(inputs), _ROWS_A_CHUNK):
        chunk = inputs[start : start + _ROWS_A_CHUNK]
        part = runtime.outputs(chunk).scores
        assert part is not None
        scores.append(part)
        listener.advance(len(chunk))
    return Outputs(scores=np.concatenate(scores))
