"""Decides how texts are answered; knows no HTTP.

Every protocol (`tunesmith.serving.protocols`) translates to and from this one place, so that
limits, batching, timing and counts are the same whatever the client speaks.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from operator import itemgetter
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import ConfigError
from tunesmith.runtimes import Runtime, Tokens
from tunesmith.serving._answers import Answers, Scores
from tunesmith.serving._cache import KeptScores, ResultCache
from tunesmith.serving._items import read_items
from tunesmith.serving.batcher import Batcher, Work
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ModelMetrics
from tunesmith.serving.refusals import Overloaded, Refused
from tunesmith.tasks import Task, Wanted
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["Answers", "DataPlane", "Scores"]

logger = logging.getLogger("tunesmith.serving")

_CHARACTERS_A_TOKEN = 4
_READ_AT_ONCE = 10_000
"""Characters that are tokenised on the event loop: less work than changing threads."""

_LOOKS_EVERY_S = 0.25
"""How often a waiting request looks whether its client is still there."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Scores of n inputs, and the tokens of each before anything is cut; see `Scores`."""

    scores: NDArray[np.float32]
    counts: list[int]
    num_tokens: int = 0
    queue_s: float = 0.0
    inference_s: float = 0.0
    num_cached: int = 0


_NOTHING = _Asked(np.zeros((0, 0), dtype=np.float32), [])


class DataPlane:
    """Validates, queues, batches, runs and counts, for one runtime.

    A runtime uses every core, so batches run one at a time, in a thread of their own: see `Batcher`
    for who is next and who shares a batch.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        limits: Limits,
        metrics: ModelMetrics,
        machine: threading.Lock | None = None,
        cache: ResultCache | None = None,
    ) -> None:
        """Does nothing yet; see `running`.

        Args:
            runtime: the loaded bundle.
            limits: the caps on requests.
            metrics: where this version is counted.
            machine: held while the model runs, where several models share the cores.
            cache: answers that are kept; None: none are.
        """
        self.runtime = runtime
        self.limits = limits
        self._metrics = metrics
        self._machine = machine
        self._cache = cache
        self._batcher: Batcher | None = None
        self._pending = 0
        self._arriving: dict[object, float] = {}
        self._num_held = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ready = False
        metrics.describe(
            runtime=runtime.name,
            task=runtime.task.name,
            queue_depth=lambda: self._pending,
            ready=lambda: self._ready,
        )

    @property
    def task(self) -> Task:
        """What the model does."""
        return self.runtime.task

    @property
    def ready(self) -> bool:
        """Whether the model has been warmed up."""
        return self._ready

    @property
    def pending(self) -> int:
        """How many requests wait for an answer."""
        return self._pending

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers for as long as the block lasts; the model is warmed up beside it."""
        self._start()
        warm_up = asyncio.create_task(self.warm_up())
        warm_up.add_done_callback(_report_failure)
        try:
            yield
        finally:
            warm_up.cancel()
            await asyncio.wait([warm_up])
            await self.stop()

    def _start(self) -> Batcher:
        if self._batcher is None:
            self._batcher = Batcher(
                self.runtime,
                max_texts=self.limits.batch_texts,
                max_tokens=self.limits.batch_tokens,
                machine=self._machine,
                on_batch=self._metrics.count_batch,
            )
        return self._batcher

    async def warm_up(self) -> None:
        """Runs the shapes that traffic will have; `ready` once it has.

        Raises:
            Exception: whatever the runtime raises.
        """
        batcher = self._start()
        fields = self.task.fields
        if all(field.modality == "text" for field in fields):

            def example(num_tokens: int) -> Inputs:
                return (" ".join(["warm"] * max(1, num_tokens // len(fields) - 1)),) * len(fields)

            await asyncio.to_thread(batcher.warm_up, example)
        self._ready = True
        logger.info("event=ready model_version=%s", self.runtime.version)

    async def retire(self) -> None:
        """Answers every request that has come, then stops for good."""
        await self._idle.wait()
        await self.stop()
        self._metrics.forget()

    async def stop(self) -> None:
        """Answers nothing any more; what waits is refused or, in a batch that runs, answered."""
        self._ready = False
        if (batcher := self._batcher) is not None:
            self._batcher = None
            await asyncio.to_thread(batcher.stop)

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

    async def predict(
        self,
        items: Sequence[object],
        *,
        top_k: int | None = None,
        wanted: Wanted | None = None,
        place: str = "texts",
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> Answers:
        """Answers every item; `Task.read` says what an item may be.

        Args:
            items: what to answer.
            top_k: how many of the likeliest labels' probabilities to give; None gives all.
            wanted: what the answers should say beside the labels.
            place: what the protocol calls the list of items, for messages.
            abandoned: asked now and then whether nobody waits for the answer any more.

        Raises:
            Refused: an item is wrong, there are too many of them, or the model cannot give what is
                wanted.
            Overloaded: the answer would not be, or was not, there in time.
        """
        self.check(wanted)
        inputs = self.read(items, place)
        return self.answers(await self.score(inputs, abandoned=abandoned), top_k, wanted)

    def answers(self, found: Scores, top_k: int | None, wanted: Wanted | None) -> Answers:
        """Scores as answers; `check` says beforehand whether the model can give what is wanted."""
        return Answers(
            predictions=self._decode(found.scores, top_k, wanted),
            scores=found.scores,
            cut=found.cut,
            num_tokens=found.num_tokens,
            num_cached=found.num_cached,
            queue_s=found.queue_s,
            inference_s=found.inference_s,
        )

    async def score(
        self,
        inputs: Sequence[Inputs],
        *,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
        use_cache: bool = True,
    ) -> Scores:
        """The model's scores of what `read` gave; what is kept in the cache never waits.

        Args:
            abandoned: as of `predict`.
            use_cache: whether to look into the cache, and to keep what comes out.

        Raises:
            Overloaded: the answer would not be, or was not, there in time.
        """
        started = perf_counter()
        if self._cache is None or not use_cache:
            asked = await self._ask(inputs, abandoned)
        else:
            asked = await self._recall(self._cache, inputs, abandoned)
        if not np.isfinite(asked.scores).all():
            raise ArithmeticError("the runtime gave a score that is not a number")
        longest = self.runtime.max_length
        found = Scores(
            scores=asked.scores,
            cut={index: count for index, count in enumerate(asked.counts) if count > longest},
            num_tokens=asked.num_tokens,
            num_cached=asked.num_cached,
            queue_s=asked.queue_s,
            inference_s=asked.inference_s,
        )
        self._metrics.count_prediction(
            num_texts=len(inputs),
            num_tokens=found.num_tokens,
            num_cut=len(found.cut),
            num_cached=found.num_cached if use_cache and self._cache is not None else None,
            queue_s=found.queue_s,
            inference_s=found.inference_s,
            started=started,
        )
        return found

    async def _ask(
        self,
        inputs: Sequence[Inputs],
        abandoned: Callable[[], Awaitable[bool]] | None,
    ) -> _Asked:
        """Puts inputs in the queue, and waits for their scores."""
        with self._admitted(inputs) as (batcher, arrived):
            tokens = await self._tokenize(inputs)
            work = batcher.submit(tokens)
            arrived()
            try:
                scores = await self._answer(work, abandoned)
            finally:
                batcher.abandon(work)
        counts = tokens.full_lengths.tolist()
        num_tokens = int(tokens.lengths.sum())
        return _Asked(scores, counts, num_tokens, work.queue_s or 0.0, work.inference_s)

    async def _recall(
        self,
        cache: ResultCache,
        inputs: Sequence[Inputs],
        abandoned: Callable[[], Awaitable[bool]] | None,
    ) -> _Asked:
        """Takes from the cache what it holds, and asks for the rest."""
        self._running()
        keys = [cache.key(self.runtime.version, one) for one in inputs]
        kept = {place: own for place, key in enumerate(keys) if (own := cache.get(key)) is not None}
        missing = [place for place in range(len(inputs)) if place not in kept]
        asked = _NOTHING
        if missing:
            rest = [inputs[place] for place in missing]
            asked = await self._ask(rest, abandoned)
            for place, row, count in zip(missing, asked.scores, asked.counts, strict=True):
                kept[place] = KeptScores(row, count)
                if np.isfinite(row).all():
                    cache.put(keys[place], kept[place])
        order = range(len(inputs))
        return replace(
            asked,
            scores=np.stack([kept[place].scores for place in order]),
            counts=[kept[place].num_tokens for place in order],
            num_cached=len(inputs) - len(missing),
        )

    async def _tokenize(self, inputs: Sequence[Inputs]) -> Tokens:
        """The inputs as the runtime reads them; beside the event loop where that takes a while."""
        if sum(len(str(value)) for values in inputs for value in values) < _READ_AT_ONCE:
            return self.runtime.tokenize(inputs)
        return await asyncio.to_thread(self.runtime.tokenize, inputs)

    def _decode(
        self, scores: NDArray[np.float32], top_k: int | None, wanted: Wanted | None
    ) -> list[Prediction]:
        predictions = self.task.decode(Outputs(scores=scores), wanted)
        return [_with_likeliest(prediction, top_k) for prediction in predictions]

    def check(self, wanted: Wanted | None) -> None:
        """Whether the model can give what is wanted.

        Raises:
            Refused: it cannot.
        """
        if not wanted:
            return
        try:
            self.task.check(wanted)
        except ConfigError as error:
            first = error.faults[0]
            raise Refused(
                "invalid_request", first.what, where=first.where, mend=first.mend
            ) from error

    def read(self, items: Sequence[object], place: str) -> list[Inputs]:
        """Items as inputs of the task, within the limits; see `read_items`.

        Raises:
            Refused: an item is wrong, or there are too many of them.
        """
        return read_items(
            items,
            self.task,
            place=place,
            max_texts=self.limits.max_texts,
            max_characters=self.limits.max_characters,
            max_tokens=self.runtime.max_length,
        )

    def _running(self) -> Batcher:
        if self._batcher is None:
            raise Overloaded("not_ready", "the server is starting or stopping", retry_after_s=1)
        return self._batcher

    @contextmanager
    def _admitted(self, inputs: Sequence[Inputs]) -> Iterator[tuple[Batcher, Callable[[], object]]]:
        """Lets a request in where its answer can be expected in time.

        Gives the batcher, and what is to be called once the request is in its queue.
        """
        batcher = self._running()
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


def _with_likeliest(prediction: Prediction, top_k: int | None) -> Prediction:
    """The prediction with the probabilities of only its `top_k` likeliest labels."""
    probabilities = prediction.probabilities
    if top_k is None or top_k >= len(probabilities):
        return prediction
    likeliest = heapq.nlargest(top_k, probabilities.items(), key=itemgetter(1))
    return replace(prediction, probabilities=dict(likeliest))


def _report_failure(warm_up: asyncio.Task[None]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        logger.error("event=warm_up_failed error=%s", type(error).__name__)
