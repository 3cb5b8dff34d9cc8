"""A runtime over many rows, a part at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipes._listener import Listener
from tunesmith.runtimes import Runtime
from tunesmith.types import Inputs, Outputs

__all__ = ["ROWS_A_PART", "PartOutputs", "outputs_in_chunks", "outputs_of_parts", "warn_of_cut"]

ROWS_A_PART = 2048
"""Rows that are sorted by length among themselves; what is lost when the work is killed."""

_ROWS_A_CALL = 512
"""Rows after which a stop is heard of, and progress is told."""
_PARTS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class PartOutputs:
    """What a runtime says of n rows: its outputs, and int64 [n], the rows' tokens, nothing cut."""

    outputs: Outputs
    lengths: NDArray[np.int64]


def outputs_in_chunks(runtime: Runtime, inputs: Sequence[Inputs], listener: Listener) -> Outputs:
    """The outputs for n inputs in their order; the listener hears of chunks and of cut texts."""
    listener.stage("predicting", len(inputs))
    starts = range(0, len(inputs), ROWS_A_PART)
    parts = (inputs[start : start + ROWS_A_PART] for start in starts)
    done = list(outputs_of_parts(runtime, parts, listener.advance))
    warn_of_cut(np.concatenate([part.lengths for part in done]), runtime.max_length, listener)
    return Outputs(scores=np.concatenate([_scores(part.outputs) for part in done]))


def outputs_of_parts(
    runtime: Runtime, parts: Iterable[Sequence[Inputs]], on_rows: Callable[[int], None]
) -> Generator[PartOutputs, None, None]:
    """The outputs for each part in turn, in the order of its rows.

    One thread is in the model, which uses all cores by itself, while the caller reads the next part
    and works on the one before. Closing the iterator stops the model after the call it is in.
    """
    stop = threading.Event()
    waiting: deque[Future[PartOutputs]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="predicting") as pool:
        try:
            for inputs in parts:
                waiting.append(pool.submit(_outputs, runtime, inputs, on_rows, stop))
                if len(waiting) > _PARTS_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()


def _outputs(
    runtime: Runtime,
    inputs: Sequence[Inputs],
    on_rows: Callable[[int], None],
    stop: threading.Event,
) -> PartOutputs:
    lengths = np.zeros(len(inputs), dtype=np.int64)
    scores = np.empty((len(inputs), runtime.task.head.size), dtype=np.float32)
    # The longest first: should the memory not suffice, that is known at once.
    order = np.argsort([-sum(map(len, texts)) for texts in inputs], kind="stable")
    for start in range(0, len(inputs), _ROWS_A_CALL):
        if stop.is_set():
            raise CancelledError
        rows = order[start : start + _ROWS_A_CALL]
        tokens = runtime.tokenize([inputs[row] for row in rows])
        scores[rows] = _scores(runtime.run([(tokens, place) for place in range(len(rows))]))
        lengths[rows] = tokens.full_lengths
        on_rows(len(rows))
    return PartOutputs(Outputs(scores=scores), lengths)


def _scores(outputs: Outputs) -> NDArray[np.float32]:
    assert outputs.scores is not None
    return outputs.scores


def warn_of_cut(full: NDArray[np.int64], max_length: int, listener: Listener) -> None:
    """Says how many of n texts are cut, and how much of them; `full` is int64 [n], in tokens."""
    cut = full > max_length
    if cut.any():
        lost = float((full[cut] - max_length).sum() / full[cut].sum())
        listener.warn(
            f"{int(cut.sum()):,} of {len(full):,} texts ({cut.mean():.1%}) are longer than "
            f"{max_length} tokens and are cut; of these texts {lost:.0%} is not read"
        )
