"""A request's texts on their way through the batcher, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.runtimes import Tokens
from tunesmith.types import Outputs

__all__ = ["Work", "finished", "settle"]


@dataclass(eq=False, slots=True)
class Work:
    """One request's texts, until each has its outputs.

    Attributes:
        tokens: what to answer, as the runtime reads it.
        lengths: tokens of each text that the model reads.
        done: the scores, float32 [n, labels]; or, with `states`, the pooled states [n, hidden].
        states: whether these are wanted in the scores' place.
        submitted: when it came, by `time.perf_counter`.
        queue_s: seconds until the first of its texts went into the model.
        inference_s: seconds of the model, its texts' shares of the batches that they were in.
        abandoned: set where nobody waits for it any more.
    """

    tokens: Tokens
    lengths: Sequence[int]
    done: asyncio.Future[NDArray[np.float32]]
    states: bool = False
    submitted: float = field(default_factory=perf_counter)
    rows: list[Any] = field(default_factory=list)
    num_left: int = 0
    num_waiting: int = 0
    queue_s: float | None = None
    inference_s: float = 0.0
    abandoned: bool = False


def finished(
    texts: Sequence[tuple[Work, int]], answer: Outputs | Exception
) -> list[tuple[Work, NDArray[np.float32] | Exception]]:
    """Notes each text's answer; gives the requests that have all of theirs, or cannot have them."""
    found: list[tuple[Work, NDArray[np.float32] | Exception]] = []
    for place, (work, index) in enumerate(texts):
        values: NDArray[np.float32] | Exception | None
        if isinstance(answer, Exception):
            values = answer
        else:
            values = answer.states if work.states else answer.scores
        if values is None:  # a graph that lacks what its bundle says of it
            values = RuntimeError("the runtime gives no states")
        if isinstance(values, Exception):
            if work.num_left > 0:
                found.append((work, values))
            work.num_left, work.abandoned = 0, True
            continue
        work.rows[index] = values[place]
        work.num_left -= 1
        if work.num_left == 0:
            found.append((work, np.stack(work.rows)))
    return found


def settle(work: Work, result: NDArray[np.float32] | Exception) -> None:
    """Tells who waits; call it on the event loop."""
    if work.done.done():
        return
    if isinstance(result, Exception):
        work.done.set_exception(result)
    else:
        work.done.set_result(result)
