"""Decides how texts are answered; knows no HTTP.

Every protocol (`tunesmith.serving.protocols`) translates to and from this one place, so that
limits, batching, timing and counts are the same whatever the client speaks.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from operator import itemgetter
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import ConfigError
from tunesmith.events import log_event
from tunesmith.runtimes import Runtime
from tunesmith.serving._answers import Answers, Embeddings, Scores
from tunesmith.serving._cache import KeptScores, ResultCache
from tunesmith.serving._cores import Cores
from tunesmith.serving._items import read_items
from tunesmith.serving._queue import Asked, Queue
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ModelMetrics
from tunesmith.serving.refusals import Refused
from tunesmith.tasks import Task, Wanted
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["Answers", "DataPlane", "Embeddings", "Scores"]

_NOTHING = Asked(np.zeros((0, 0), dtype=np.float32), [])


class DataPlane:
    """Validates, queues, batches, runs and counts, for one runtime.

    See `Batcher` for who is next, who shares a batch, and which batches run side by side.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        limits: Limits,
        metrics: ModelMetrics,
        cores: Cores | None = None,
        cache: ResultCache | None = None,
    ) -> None:
        """Does nothing yet; see `running`.

        Args:
            runtime: the loaded bundle.
            limits: the caps on requests.
            metrics: where this version is counted.
            cores: what several models share; None: they are this one's alone.
            cache: answers that are kept; None: none are.
        """
        self.runtime = runtime
        self.limits = limits
        self._metrics = metrics
        self._cache = cache
        self._queue = Queue(runtime, limits=limits, cores=cores, on_batch=metrics.count_batch)
        self._ready = False
        self._opening: asyncio.Task[None] | None = None
        metrics.describe(
            runtime=runtime.name,
            task=runtime.task.name,
            queue_depth=lambda: self._queue.pending,
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
        return self._queue.pending

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers for as long as the block lasts; the model is warmed up beside it."""
        self._queue.start()
        warm_up = asyncio.create_task(self.warm_up())
        warm_up.add_done_callback(_report_failure)
        try:
            yield
        finally:
            warm_up.cancel()
            await asyncio.wait([warm_up])
            await self.stop()

    async def warm_up(self) -> None:
        """Runs the shapes that traffic will have; `ready` once it has. Lanes open beside traffic.

        Raises:
            Exception: whatever the runtime raises.
        """
        batcher = self._queue.start()
        fields = self.task.fields
        if all(field.modality == "text" for field in fields):

            def example(num_tokens: int) -> Inputs:
                return (" ".join(["warm"] * max(1, num_tokens // len(fields) - 1)),) * len(fields)

            await asyncio.to_thread(batcher.warm_up, example)
            self._opening = asyncio.create_task(asyncio.to_thread(batcher.open_lanes, example))
        self._ready = True
        log_event(logging.INFO, "ready", model_version=self.runtime.version)

    async def retire(self) -> None:
        """Answers every request that has come, then stops for good."""
        await self._queue.idle()
        await self.stop()
        self._metrics.forget()

    async def stop(self) -> None:
        """Answers nothing any more; what waits is refused or, in a batch that runs, answered."""
        self._ready = False
        await self._queue.stop()
        if self._opening is not None:
            await self._opening

    def held(self) -> AbstractContextManager[None]:
        """Keeps the model from being retired, for those who ask it more than once."""
        return self._queue.held()

    async def predict(
        self,
        items: Sequence[object],
        *,
        top_k: int | None = None,
        wanted: Wanted | None = None,
        place: str = "texts",
        cuts: bool = True,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> Answers:
        """Answers every item; `Task.read` says what an item may be.

        Args:
            items: what to answer.
            top_k: how many of the likeliest labels' probabilities to give; None gives all.
            wanted: what the answers should say beside the labels.
            place: what the protocol calls the list of items, for messages.
            cuts: whether of an item that is longer than the model reads the end is left out; else
                it is refused.
            abandoned: asked now and then whether nobody waits for the answer any more.

        Raises:
            Refused: an item is wrong, there are too many of them, or the model cannot give what is
                wanted.
            Overloaded: the answer would not be, or was not, there in time.
        """
        self.check(wanted)
        inputs = self.read(items, place)
        uncut = None if cuts else _indexed(place)
        scores = await self.score(inputs, abandoned=abandoned, uncut=uncut)
        return self.answers(scores, top_k, wanted)

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

    async def embed(
        self,
        items: Sequence[object],
        *,
        place: str = "texts",
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> Embeddings:
        """The vector of every text: the encoder's pooled states, at length 1.

        Args:
            items, place, abandoned: as of `predict`.

        Raises:
            Refused: an item is wrong or longer than the model reads, there are too many of them,
                or the runtime gives no embeddings.
            Overloaded: the answer would not be, or was not, there in time.
        """
        self._check_embeds()
        inputs = self.read(items, place)
        self._metrics.note_asked()
        started = perf_counter()
        asked = await self._queue.ask(inputs, abandoned, states=True, uncut=_indexed(place))
        states = asked.scores.astype(np.float64)
        lengths = np.linalg.norm(states, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise ArithmeticError("the runtime gave a state that is not a number")
        self._count(asked, len(inputs), started)
        return Embeddings(
            vectors=(states / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32),
            num_tokens=asked.num_tokens,
            queue_s=asked.queue_s,
            inference_s=asked.inference_s,
        )

    def _check_embeds(self) -> None:
        """Whether there are vectors of single texts."""
        if self.runtime.embedding_size is None:
            raise Refused(
                "no_embeddings",
                f"the runtime {self.runtime.name} gives no embeddings, or none that are the "
                "trained model's",
                mend="run `tunesmith optimize` on the bundle that was trained again, or serve it "
                "with --runtime torch-fp32",
            )
        if len(self.task.fields) > 1:
            names = ", ".join(field.name for field in self.task.fields)
            raise Refused(
                "no_embeddings",
                f"the model reads {len(self.task.fields)} texts together ({names})",
                mend="ask a model for embeddings that reads one text",
            )

    async def score(
        self,
        inputs: Sequence[Inputs],
        *,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
        uncut: Callable[[int], str] | None = None,
        use_cache: bool = True,
    ) -> Scores:
        """The model's scores of what `read` gave; what is kept in the cache never waits.

        Args:
            abandoned: as of `predict`.
            uncut: as of `Queue.ask`.
            use_cache: whether to look into the cache, and to keep what comes out.

        Raises:
            Refused: an input is too long for `uncut`.
            Overloaded: the answer would not be, or was not, there in time.
        """
        self._metrics.note_asked()
        started = perf_counter()
        if self._cache is None or not use_cache:
            asked = await self._queue.ask(inputs, abandoned, uncut=uncut)
        else:
            asked = await self._recall(self._cache, inputs, abandoned, uncut)
        if not np.isfinite(asked.scores).all():
            raise ArithmeticError("the runtime gave a score that is not a number")
        longest = self.runtime.max_length
        cut = {index: count for index, count in enumerate(asked.counts) if count > longest}
        looked = use_cache and self._cache is not None
        self._count(asked, len(inputs), started, num_cut=len(cut), looked=looked)
        return Scores(
            scores=asked.scores,
            cut=cut,
            num_tokens=asked.num_tokens,
            num_cached=asked.num_cached,
            queue_s=asked.queue_s,
            inference_s=asked.inference_s,
        )

    def _count(
        self,
        asked: Asked,
        num_texts: int,
        started: float,
        *,
        num_cut: int = 0,
        looked: bool = False,
    ) -> None:
        """Counts what was answered; `looked`: whether the cache was asked for it."""
        self._metrics.count_prediction(
            num_texts=num_texts,
            num_tokens=asked.num_tokens,
            num_cut=num_cut,
            num_cached=asked.num_cached if looked else None,
            queue_s=asked.queue_s,
            inference_s=asked.inference_s,
            started=started,
        )

    async def _recall(
        self,
        cache: ResultCache,
        inputs: Sequence[Inputs],
        abandoned: Callable[[], Awaitable[bool]] | None,
        uncut: Callable[[int], str] | None,
    ) -> Asked:
        """Takes from the cache what it holds, and asks for the rest."""
        self._queue.require_running()
        keys = [cache.key(self.runtime.version, one) for one in inputs]
        kept = {place: own for place, key in enumerate(keys) if (own := cache.get(key)) is not None}
        if uncut is not None:
            for place, own in kept.items():
                if own.num_tokens > self.runtime.max_length:
                    raise self._queue.too_long(uncut(place), own.num_tokens)
        missing = [place for place in range(len(inputs)) if place not in kept]
        asked = _NOTHING
        if missing:
            rest = [inputs[place] for place in missing]
            named = None if uncut is None else lambda index: uncut(missing[index])
            asked = await self._queue.ask(rest, abandoned, uncut=named)
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


def _indexed(place: str) -> Callable[[int], str]:
    """What the protocol calls an item of its list: "inputs[3]"."""
    return lambda index: f"{place}[{index}]"


def _with_likeliest(prediction: Prediction, top_k: int | None) -> Prediction:
    """The prediction with the probabilities of only its `top_k` likeliest labels."""
    probabilities = prediction.probabilities
    if top_k is None or top_k >= len(probabilities):
        return prediction
    likeliest = heapq.nlargest(top_k, probabilities.items(), key=itemgetter(1))
    return replace(prediction, probabilities=dict(likeliest))


def _report_failure(warm_up: asyncio.Task[None]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        log_event(logging.ERROR, "warm_up_failed", error=type(error).__name__)
