"""Requests on their way to the batcher: who is let in, how long it is waited for, and by whom."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tunesmith.runtimes import Runtime, Tokens
from tunesmith.serving._cores import Cores
from tunesmith.serving.batcher import Batcher, Work
from tunesmith.serving.limits import Limits
from tunesmith.serving.refusals import Overloaded, Refused
from tunesmith.types import Inputs

__all__ = ["Asked", "Queue"]

_CHARACTERS_A_TOKEN = 4
_READ_AT_ONCE = 10_000
"""Characters that are tokenised on the event loop: less work than changing threads."""

_LOOKS_EVERY_S = 0.25
"""How often a waiting request looks whether its client is still there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Scores of n inputs, and the tokens of each before anything is cut; see `Scores`.

    For embeddings `scores` are the pooled states.
    """

    scores: NDArray[np.float32]
    counts: list[int]
    num_tokens: int = 0
    queue_s: float = 0.0
    inference_s: float = 0.0
    num_cached: int = 0


class Queue:
    """Admits, tokenises, hands to the batcher and waits, for one runtime."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        limits: Limits,
        cores: Cores | None,
        on_batch: Callable[[int, int], None],
    ) -> None:
        """Does nothing yet; see `start`.

        Args:
            runtime, limits, cores: as of `DataPlane`.
            on_batch: as of `Batcher`.
        """
        self.runtime = runtime
        self.limits = limits
        self._cores = cores
        self._on_batch = on_batch
        self._batcher: Batcher | None = None
        self._pending = 0
        self._arriving: dict[object, float] = {}
        self._num_held = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> int:
        """How many requests wait for an answer."""
        return self._pending

    def start(self) -> Batcher:
        """Starts the batcher, unless it runs; gives it."""
        if self._batcher is None:
            self._batcher = Batcher(
                self.runtime,
                max_texts=self.limits.batch_texts,
                max_tokens=self.limits.batch_tokens,
                cores=self._cores,
                on_batch=self._on_batch,
            )
        return self._batcher

    async def stop(self) -> None:
        """Stops the batcher; what waits is refused or, in a batch that runs, answered."""
        if (batcher := self._batcher) is not None:
            self._batcher = None
            await asyncio.to_thread(batcher.stop)

    async def idle(self) -> None:
        """Waits until nobody asks or holds the model."""
        await self._idle.wait()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the model from being retired, for those who ask it more than once."""
        self._num_held += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._num_held -= 1
            if not self._num_held:
                self._idle.set()

    async def ask(
        self,
        inputs: Sequence[Inputs],
        abandoned: Callable[[], Awaitable[bool]] | None,
        *,
        states: bool = False,
        uncut: Callable[[int], str] | None = None,
    ) -> Asked:
        """Puts inputs in the queue, and waits for their scores.

        Args:
            abandoned: asked now and then whether nobody waits for the answer any more.
            states: whether pooled states are wanted in the scores' place.
            uncut: what the protocol calls the input of an index, where none may be longer than the
                model reads.

        Raises:
            Refused: an input is too long for that, or nobody waits any more.
            Overloaded: the answer would not be, or was not, there in time.
        """
        with self._admitted(inputs) as (batcher, arrived):
            tokens = await self._tokenize(inputs)
            if uncut is not None:
                self._check_whole(tokens, uncut)
            work = batcher.submit(tokens, states=states)
            arrived()
            try:
                scores = await self._answer(work, abandoned)
            finally:
                batcher.abandon(work)
        counts = tokens.full_lengths.tolist()
        num_tokens = int(tokens.lengths.sum())
        return Asked(scores, counts, num_tokens, work.queue_s or 0.0, work.inference_s)

    def _check_whole(self, tokens: Tokens, named: Callable[[int], str]) -> None:
        for index in np.flatnonzero(tokens.full_lengths > self.runtime.max_length).tolist():
            raise self.too_long(named(index), int(tokens.full_lengths[index]))

    def too_long(self, where: str, num_tokens: int) -> Refused:
        """The refusal of an input that may not be cut."""
        return Refused(
            "text_too_long",
            f"has {num_tokens:,} tokens, and the model reads {self.runtime.max_length:,}",
            where=where,
            mend="send it in parts",
        )

    async def _tokenize(self, inputs: Sequence[Inputs]) -> Tokens:
        """The inputs as the runtime reads them; beside the event loop where that takes a while."""
        if sum(len(str(value)) for values in inputs for value in values) < _READ_AT_ONCE:
            return self.runtime.tokenize(inputs)
        return await asyncio.to_thread(self.runtime.tokenize, inputs)

    def require_running(self) -> Batcher:
        """The batcher.

        Raises:
            Overloaded: it does not run.
        """
        if self._batcher is None:
            raise Overloaded("not_ready", "the server is starting or stopping", retry_after_s=1)
        return self._batcher

    @contextmanager
    def _admitted(self, inputs: Sequence[Inputs]) -> Iterator[tuple[Batcher, Callable[[], object]]]:
        """Lets a request in where its answer can be expected in time.

        Gives the batcher, and what is to be called once the request is in its queue.
        """
        batcher = self.require_running()
        own_s = batcher.cost_s(map(self._rough_length, inputs))
        # Those that are admitted and still being tokenised wait in front, too.
        wait_s = batcher.wait_s(own_s) + sum(min(one, own_s) for one in self._arriving.values())
        is_late = (
            wait_s > max(self.limits.max_wait_s, own_s) or wait_s + own_s > self.limits.timeout_s
        )
        if self._pending >= self.limits.max_queue or (self._pending and is_late):
            raise Overloaded(
                "overloaded",
                "the server has more requests waiting than it can answer soon",
                mend="ask again later",
                retry_after_s=_whole_seconds(wait_s),
            )
        self._pending += 1
        arrival = object()
        self._arriving[arrival] = own_s
        with self.held():
            try:
                yield batcher, lambda: self._arriving.pop(arrival, None)
            finally:
                self._arriving.pop(arrival, None)
                self._pending -= 1

    def _rough_length(self, inputs: Inputs) -> int:
        """About how many tokens an input has; what is refused is not tokenised."""
        length = sum(len(str(value)) for value in inputs) // _CHARACTERS_A_TOKEN + 2
        return min(length, self.runtime.max_length)

    async def _answer(
        self,
        work: Work,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> NDArray[np.float32]:
        """The scores of a request's texts, unless they come too late or nobody waits for them."""
        while (left_s := work.submitted + self.limits.timeout_s - perf_counter()) > 0:
            done, _ = await asyncio.wait([work.done], timeout=min(left_s, _LOOKS_EVERY_S))
            if done:
                return work.done.result()
            if abandoned is not None and await abandoned():
                raise Refused("client_gone", "the client left before it was answered")
        batcher = self._batcher
        raise Overloaded(
            "timed_out",
            f"no answer within {self.limits.timeout_s:g} s",
            mend="send fewer or shorter texts, or ask again later",
            retry_after_s=_whole_seconds(0 if batcher is None else batcher.wait_s(math.inf)),
        )


def _whole_seconds(wait_s: float) -> int:
    return min(60, max(1, math.ceil(wait_s)))
