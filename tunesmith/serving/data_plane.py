"""Decides how texts are answered; knows no HTTP.

Every protocol (`tunesmith.serving.protocols`) translates to and from this one place, so that
limits, batching, timing and counts are the same whatever the client speaks.
"""

from __future__ import annotations

import asyncio
import logging
import math
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import perf_counter

from tunesmith.errors import ConfigError, DataError
from tunesmith.runtimes import Runtime
from tunesmith.serving._work import Work
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.refusals import Overloaded, Refused
from tunesmith.tasks import Task, Wanted
from tunesmith.types import Inputs, Prediction

__all__ = ["Answers", "DataPlane"]

logger = logging.getLogger("tunesmith.serving")

_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one request, in the order of its texts.

    Attributes:
        predictions: one for each text.
        cut: index of a text → its tokens, where these were more than the model reads.
        num_tokens: tokens that the model read.
        queue_s: seconds spent waiting for the model.
        inference_s: seconds spent in the model, tokenisation included.
    """

    predictions: list[Prediction]
    cut: Mapping[int, int]
    num_tokens: int
    queue_s: float
    inference_s: float


class DataPlane:
    """Validates, orders, batches, runs and counts, for one runtime.

    A runtime uses every core, so predictions run one at a time, in a thread of their own. A request
    gives its turn back after each mini-batch: a single text waits for at most one mini-batch of
    each request before it, not for a whole request of a thousand texts.
    """

    def __init__(self, runtime: Runtime, *, limits: Limits, metrics: ServingMetrics) -> None:
        self.runtime = runtime
        self.limits = limits
        self._metrics = metrics
        self._executor: ThreadPoolExecutor | None = None
        self._pending = 0
        self._mean_s = 0.0
        self._ready = False
        metrics.watch(queue_depth=lambda: self._pending, ready=lambda: self._ready)

    @property
    def task(self) -> Task:
        """What the model does."""
        return self.runtime.task

    @property
    def ready(self) -> bool:
        """Whether the model has been warmed up."""
        return self._ready

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the inference thread for as long as the server runs, and warms the model up."""
        self._executor = executor = ThreadPoolExecutor(1, thread_name_prefix="inference")
        warm_up = asyncio.create_task(self._warm_up())
        warm_up.add_done_callback(_report_failure)
        try:
            yield
        finally:
            self._ready, self._executor = False, None
            warm_up.cancel()
            await asyncio.wait([warm_up])
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)

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
            abandoned: asked between mini-batches whether nobody waits for the answer any more.

        Raises:
            Refused: an item is wrong, there are too many of them, or the model cannot give what is
                wanted.
            Overloaded: the queue is full, or the answer took too long.
        """
        self._check(wanted)
        inputs = self._read(items, place)
        work = Work(self.runtime, inputs, self.limits, top_k, wanted)
        with self._admitted():
            await self._finish(work, abandoned)
        self._mean_s = 0.9 * self._mean_s + 0.1 * work.inference_s
        self._metrics.count_prediction(
            num_texts=len(inputs),
            num_tokens=work.num_tokens,
            num_cut=len(work.cut),
            queue_s=work.queue_s,
            inference_s=work.inference_s,
        )
        return Answers(
            work.predictions(), work.cut, work.num_tokens, work.queue_s, work.inference_s
        )

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
    def _admitted(self) -> Iterator[None]:
        if self._pending >= self.limits.max_queue:
            raise Overloaded(
                "overloaded",
                "the server has more requests waiting than it can answer soon",
                mend="ask again later",
                retry_after_s=self._expected_wait_s(),
            )
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1

    async def _finish(
        self, work: Work, abandoned: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        try:
            async with asyncio.timeout(self.limits.timeout_s) as clock:
                await self._turn(work)
                while not work.done:
                    if abandoned is not None and await abandoned():
                        raise Refused("client_gone", "the client left before it was answered")
                    await self._turn(work)
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise Overloaded(
                "timed_out",
                f"no answer within {self.limits.timeout_s:g} s",
                mend="send fewer or shorter texts, or ask again later",
                retry_after_s=self._expected_wait_s(),
            ) from error

    async def _turn(self, work: Work) -> None:
        if self._executor is None:
            raise Overloaded("not_ready", "the server is starting or stopping", retry_after_s=1)
        submitted = perf_counter()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, work.step, submitted)

    def _expected_wait_s(self) -> int:
        return min(60, max(1, math.ceil(self._mean_s * self._pending)))

    async def _warm_up(self) -> None:
        """One text, a full mini-batch, and the longest text: the shapes that traffic will have."""
        fields = self.task.fields
        if all(field.modality == "text" for field in fields):
            short = ("warm up",) * len(fields)
            long = ("warm " * self.runtime.max_length,) * len(fields)
            for inputs in ([short], [short] * self.limits.batch_texts, [long]):
                work = Work(self.runtime, inputs, self.limits)
                while not work.done:
                    await self._turn(work)
        self._ready = True
        logger.info("event=ready model_version=%s", self.runtime.version)


def _report_failure(warm_up: asyncio.Task[None]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        logger.error("event=warm_up_failed error=%s", type(error).__name__)
