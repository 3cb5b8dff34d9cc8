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
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from operator import itemgetter
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import ConfigError, DataError
from tunesmith.runtimes import Runtime
from tunesmith.serving.batcher import Batcher, Work
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ModelMetrics
from tunesmith.serving.refusals import Overloaded, Refused
from tunesmith.tasks import Task, Wanted
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["Answers", "DataPlane"]

logger = logging.getLogger("tunesmith.serving")

_COUNTED_AT_ONCE = 10_000
"""Characters whose tokens are counted on the event loop: less work than changing threads."""

_LOOKS_EVERY_S = 0.25
"""How often a waiting request looks whether its client is still there."""

_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one request, in the order of its texts.

    Attributes:
        predictions: one for each text.
        scores: the model's raw scores, float32 [n, labels].
        cut: index of a text → its tokens, where these were more than the model reads.
        num_tokens: tokens that the model read.
        queue_s: seconds spent waiting for the model.
        inference_s: seconds spent in the model, tokenisation included.
    """

    predictions: list[Prediction]
    scores: NDArray[np.float32]
    cut: Mapping[int, int]
    num_tokens: int
    queue_s: float
    inference_s: float


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
    ) -> None:
        """Does nothing yet; see `running`.

        Args:
            runtime: the loaded bundle.
            limits: the caps on requests.
            metrics: where this version is counted.
            machine: held while the model runs, where several models share the cores.
        """
        self.runtime = runtime
        self.limits = limits
        self._metrics = metrics
        self._machine = machine
        self._batcher: Batcher | None = None
        self._pending = 0
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

    async def predict(
        self,
        items: Sequence[object],
        *,
        top_k: int | None = None,
        wanted: Wanted | None = None,
        place: str = "texts",
        timeout_s: float | None = None,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> Answers:
        """Answers every item; `Task.read` says what an item may be.

        Args:
            items: what to answer.
            top_k: how many of the likeliest labels' probabilities to give; None gives all.
            wanted: what the answers should say beside the labels.
            place: what the protocol calls the list of items, for messages.
            timeout_s: how long the client waits, where it says so; less than the server's limit.
            abandoned: asked now and then whether nobody waits for the answer any more.

        Raises:
            Refused: an item is wrong, there are too many of them, or the model cannot give what is
                wanted.
            Overloaded: the answer would not be, or was not, there in time.
        """
        self._check(wanted)
        inputs = self._read(items, place)
        patience_s = min(timeout_s or self.limits.timeout_s, self.limits.timeout_s)
        longest = self.runtime.max_length
        with self._admitted(patience_s) as batcher:
            counts = await self._count_tokens(inputs)
            lengths = [min(count, longest) for count in counts]
            work = batcher.submit(inputs, lengths)
            try:
                scores = await self._answer(work, patience_s, abandoned)
            finally:
                batcher.abandon(work)
        queue_s = work.queue_s or 0.0
        self._metrics.count_prediction(
            num_texts=len(inputs),
            num_tokens=sum(lengths),
            num_cut=sum(count > longest for count in counts),
            queue_s=queue_s,
            inference_s=work.inference_s,
        )
        return Answers(
            predictions=self._decode(scores, top_k, wanted),
            scores=scores,
            cut={index: count for index, count in enumerate(counts) if count > longest},
            num_tokens=sum(lengths),
            queue_s=queue_s,
            inference_s=work.inference_s,
        )

    async def _count_tokens(self, inputs: list[Inputs]) -> list[int]:
        """Tokens of each input; beside the event loop where that may take a while."""
        if sum(len(str(value)) for values in inputs for value in values) < _COUNTED_AT_ONCE:
            return self.runtime.count_tokens(inputs)
        return await asyncio.to_thread(self.runtime.count_tokens, inputs)

    def _decode(
        self, scores: NDArray[np.float32], top_k: int | None, wanted: Wanted | None
    ) -> list[Prediction]:
        if not np.isfinite(scores).all():
            raise ArithmeticError("the runtime gave a score that is not a number")
        predictions = self.task.decode(Outputs(scores=scores), wanted)
        return [_with_likeliest(prediction, top_k) for prediction in predictions]

    def _check(self, wanted: Wanted | None) -> None:
        if not wanted:
            return
        try:
            self.task.check(wanted)
        except ConfigError as error:
            first = error.faults[0]
            raise Refused(
                "invalid_request", first.what, where=first.where, mend=first.mend
            ) from error

    def _read(self, items: Sequence[object], place: str) -> list[Inputs]:
        if not items:
            raise Refused("invalid_request", "is empty", where=place, mend="give at least one text")
        if len(items) > self.limits.max_texts:
            raise Refused(
                "too_many_texts",
                f"{len(items):,} texts are too many for one request",
                where=place,
                mend=f"send at most {self.limits.max_texts:,} at once",
            )
        return [self._read_one(item, f"{place}[{index}]") for index, item in enumerate(items)]

    def _read_one(self, item: object, where: str) -> Inputs:
        try:
            inputs = self.task.read(item)
        except DataError as error:
            fault = error.faults[0]
            raise Refused("invalid_text", fault.what, where=where, mend=fault.mend) from error
        for field, value in zip(self.task.fields, inputs, strict=True):
            if field.modality == "text" and isinstance(value, str):
                named = f"{where}.{field.name}" if len(inputs) > 1 else where
                self._check_text(value, named)
        return inputs

    def _check_text(self, text: str, where: str) -> None:
        if len(text) > self.limits.max_characters:
            raise Refused(
                "text_too_long",
                f"{len(text):,} characters are too many for one text",
                where=where,
                mend=f"send at most {self.limits.max_characters:,}; "
                f"the model reads the first {self.runtime.max_length} tokens",
            )
        if all(unicodedata.category(character) in _INVISIBLE for character in text):
            raise Refused(
                "empty_text",
                "the text is empty or holds nothing but blanks",
                where=where,
                mend="leave it out, or give a text",
            )

    @contextmanager
    def _admitted(self, patience_s: float) -> Iterator[Batcher]:
        """Lets a request in where its answer can be expected in time."""
        if (batcher := self._batcher) is None:
            raise Overloaded("not_ready", "the server is starting or stopping", retry_after_s=1)
        if self._pending >= self.limits.max_queue or batcher.expected_wait_s > patience_s:
            raise Overloaded(
                "overloaded",
                "the server has more requests waiting than it can answer soon",
                mend="ask again later",
                retry_after_s=_whole_seconds(batcher.expected_wait_s),
            )
        self._pending += 1
        self._idle.clear()
        try:
            yield batcher
        finally:
            self._pending -= 1
            if not self._pending:
                self._idle.set()

    async def _answer(
        self,
        work: Work,
        patience_s: float,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> NDArray[np.float32]:
        """The scores of a request's texts, unless they come too late or nobody waits for them."""
        while (left_s := work.submitted + patience_s - perf_counter()) > 0:
            done, _ = await asyncio.wait([work.done], timeout=min(left_s, _LOOKS_EVERY_S))
            if done:
                return work.done.result()
            if abandoned is not None and await abandoned():
                raise Refused("client_gone", "the client left before it was answered")
        batcher = self._batcher
        raise Overloaded(
            "timed_out",
            f"no answer within {patience_s:g} s",
            mend="send fewer or shorter texts, or ask again later",
            retry_after_s=_whole_seconds(0 if batcher is None else batcher.expected_wait_s),
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
