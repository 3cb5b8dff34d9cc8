"""Texts of all requests on their way through one runtime: who is next, and in which batch."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tunesmith.events import log_event
from tunesmith.runtimes import Runtime, Tokens
from tunesmith.serving._cores import Cores
from tunesmith.serving._speed import Lanes, Speed, measure_speeds
from tunesmith.serving._work import Work, finished, settle
from tunesmith.types import Inputs, Outputs

__all__ = ["Batcher", "Work"]

_LOOKED_AT = 128
"""Waiting texts that are looked at for one batch."""

_MEASURING_S = 0.4
_FEWEST_LANES = 2


class _StoppedError(Exception):
    """The batcher was stopped while something was measured."""


@dataclass(eq=False, frozen=True, slots=True)
class _Batch:
    """Texts that run together.

    Attributes:
        texts: each a request, and which of its texts.
        cost_s: what they would take one after the other.
        lanes: how many batches may run side by side with it, itself included; None: it is alone.
    """

    texts: Sequence[tuple[Work, int]]
    cost_s: float
    lanes: int | None


class Batcher:
    """Makes batches of the texts that wait, and runs them in threads of its own.

    No text waits for a batch to fill: whenever the model is free, the text that is next goes, and
    others that wait join it as far as that costs less than running them alone, by times measured
    on this machine: texts of much the same length, up to a size from which more gains nothing.

    A batch has all cores, so that a text that comes alone is answered soonest. Where several wait,
    batches go side by side, each on its share of the cores, if that was measured to answer more of
    them a second: threads that work on one batch wait for one another at each of its operators.

    Who is next follows from fair queueing (Golestani, "A self-clocked fair queueing scheme for
    broadband applications", INFOCOM 1994): each request's texts are stamped with the tokens that
    come before them in their request, from the moment that it came. So a single text overtakes all
    but the beginning of a request of a thousand, and that one still comes forward.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        max_texts: int,
        max_tokens: int,
        cores: Cores | None = None,
        on_batch: Callable[[int, int], None] | None = None,
        speed: Speed | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        """Starts its threads; they wait for work.

        Args:
            runtime: what answers.
            max_texts: the most texts in one batch.
            max_tokens: the most tokens in one batch, padding included; a longer text goes alone.
            cores: what several models share; None: they are this one's alone.
            on_batch: told of each batch, how many texts and how many tokens with padding.
            speed: what batches take, where that is known; else `warm_up` measures it.
            lanes: the same side by side, of a runtime whose lanes are open; else `open_lanes`
                measures it.
        """
        self._runtime = runtime
        self._max_texts = max_texts
        self._max_tokens = max_tokens
        self._cores = cores or Cores()
        self._on_batch = on_batch
        self._known_speed = speed
        self._speed = speed or Speed({runtime.max_length: {1: 0.0}})
        self._lanes: Lanes | None = None
        self._waiting: list[tuple[float, int, Work, int]] = []
        self._changed = threading.Condition()
        self._clock = 0.0
        self._num_seen = 0
        self._left_s: dict[Work, float] = {}
        self._running: list[_Batch] = []
        self._slowness = 1.0
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._start_thread()
        if lanes is not None:
            self._use(lanes, self._speed)

    @property
    def speed(self) -> Speed:
        """What batches take here; batches of one until `warm_up` has measured."""
        return self._speed

    def cost_s(self, lengths: Iterable[int]) -> float:
        """About how long texts of so many tokens take the model, one after the other."""
        return sum(self._speed.of(1, length) for length in lengths) * self._slowness

    def wait_s(self, own_s: float) -> float:
        """About how long others keep a request that came now from being done.

        Fair queueing gives each of them no more than the newcomer gets: of a request of a thousand
        texts a single text waits for one or two.

        Args:
            own_s: what it takes itself, by `cost_s`.
        """
        with self._changed:
            own = own_s / self._slowness
            # What came before the times were measured anew may leave more than it brought.
            ahead = sum(min(max(left, 0.0), own) for left in self._left_s.values())
            running = sum(batch.cost_s for batch in self._running)
            return (running + ahead) * self._slowness

    def warm_up(self, example: Callable[[int], Inputs]) -> None:
        """Runs the shapes that traffic will have, and measures which batches gain something.

        Args:
            example: an input of about so many tokens.
        """

        try:
            if self._known_speed is None:
                [self._speed] = self._measured(self._alone(example), budget_s=_MEASURING_S)
            self._alone(example)(1, self._runtime.max_length)
        except _StoppedError:
            return

    def open_lanes(self, example: Callable[[int], Inputs]) -> None:
        """Measures whether batches side by side gain something, and uses that; traffic goes on.

        Where it cannot be measured the batcher does without.

        Args:
            example: as of `warm_up`.
        """
        try:
            num = self._runtime.open_lanes()
            if num < _FEWEST_LANES:
                return
            with ThreadPoolExecutor(num) as pool:
                ways = self._alone(example), self._beside(example, num, pool)
                alone, beside = self._measured(*ways, budget_s=2 * _MEASURING_S)
        except _StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a library raises; it is an extra
            log_event(logging.WARNING, "lanes_failed", error=type(error).__name__)
            self._runtime.close_lanes()
            return
        lanes = Lanes(num, beside)
        if lanes.ever_gain(alone):
            self._use(lanes, alone)
        else:
            self._runtime.close_lanes()

    def _alone(self, example: Callable[[int], Inputs]) -> Callable[[int, int], float]:
        def run(size: int, length: int) -> float:
            with self._cores.alone():
                self._go_on()
                started = perf_counter()
                self._runtime.outputs([example(length)] * size)
                return perf_counter() - started

        return run

    def _beside(
        self, example: Callable[[int], Inputs], num: int, pool: ThreadPoolExecutor
    ) -> Callable[[int, int], float]:
        def run(size: int, length: int) -> float:
            tokens = self._runtime.tokenize([example(length)] * size)
            rows = [(tokens, index) for index in range(size)]
            with self._cores.alone():
                self._go_on()
                started = perf_counter()
                calls = [pool.submit(self._runtime.run, rows, beside=True) for _ in range(num)]
                for call in calls:
                    call.result()
                return perf_counter() - started

        return run

    def _go_on(self) -> None:
        """Ends what is measured where the batcher is stopped meanwhile."""
        if self._stopping:
            raise _StoppedError

    def _measured(self, *ways: Callable[[int, int], float], budget_s: float) -> list[Speed]:
        longest, most = self._runtime.max_length, self._max_texts
        return measure_speeds(ways, longest, max_texts=most, budget_s=budget_s)

    def _use(self, lanes: Lanes, alone: Speed) -> None:
        with self._changed:
            if self._stopping:
                return
            self._lanes, self._speed = lanes, alone
            while len(self._threads) < lanes.num:
                self._start_thread()

    def _start_thread(self) -> None:
        name = f"inference-{len(self._threads)}"
        self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
        self._threads[-1].start()

    def submit(self, tokens: Tokens, *, states: bool = False) -> Work:
        """Puts a request's texts in the queue; call it on the event loop.

        Args:
            states: whether the pooled states are wanted rather than the scores. The model gives
                both at once, so such texts share batches with the others.

        Returns:
            The work, whose `done` is awaited.
        """
        lengths = tokens.lengths.tolist()
        work = Work(tokens, lengths, asyncio.get_running_loop().create_future(), states)
        work.rows = [None] * len(lengths)
        work.num_left = work.num_waiting = len(lengths)
        with self._changed:
            stamp = self._clock
            for index in sorted(range(len(lengths)), key=lengths.__getitem__):
                self._num_seen += 1
                heapq.heappush(self._waiting, (stamp, self._num_seen, work, index))
                stamp += max(lengths[index], 1)
            self._left_s[work] = sum(self._speed.of(1, length) for length in lengths)
            self._changed.notify()
        return work

    def abandon(self, work: Work) -> None:
        """Leaves out what nobody waits for any more; call it on the event loop."""
        work.abandoned = True
        work.done.cancel()
        with self._changed:
            self._left_s.pop(work, None)

    def stop(self) -> None:
        """Ends its threads once what runs is through; call it when nothing waits."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                self._run_batch(batch)
            finally:
                with self._changed:
                    self._running.remove(batch)
                    self._changed.notify_all()

    def _run_batch(self, batch: _Batch) -> None:
        texts = [(work, index) for work, index in batch.texts if not work.abandoned]
        if not texts:
            return
        beside = batch.lanes is not None
        cores = self._cores.alone() if batch.lanes is None else self._cores.beside(batch.lanes)
        with cores, self._timed(texts):
            try:
                rows = [(work.tokens, index) for work, index in texts]
                outputs = self._runtime.run(rows, beside=beside)
            except Exception as error:  # noqa: BLE001 - of a request, which is told of it
                self._deliver(texts, error)
                return
        self._deliver(texts, outputs)

    def _next_batch(self) -> _Batch | None:
        """Who goes next, with those that join; waits for the first, None at the end."""
        with self._changed:
            while True:
                while self._waiting and self._waiting[0][2].abandoned:
                    self._leave(heapq.heappop(self._waiting))
                if self._waiting and self._has_room():
                    break
                if self._stopping and not self._waiting:
                    return None
                self._changed.wait()
            lanes = self._lanes if self._goes_beside() else None
            first = heapq.heappop(self._waiting)
            self._clock = max(self._clock, first[0])
            chosen = [first, *self._companions(first, lanes)]
            cost_s = sum(self._leave(entry) for entry in chosen)
            texts = [(work, index) for _, _, work, index in chosen]
            batch = _Batch(texts, cost_s, None if lanes is None else lanes.num)
            self._running.append(batch)
            if self._waiting and lanes is not None:
                self._changed.notify()
            return batch

    def _has_room(self) -> bool:
        """Whether another batch may run: beside others of its kind, or where there is none."""
        if not self._running:
            return True
        lanes = self._running[0].lanes
        return lanes is not None and len(self._running) < lanes

    def _goes_beside(self) -> bool:
        """Whether what is next has its share of the cores; not where nobody else would be."""
        if self._running:
            return True
        _, _, work, index = self._waiting[0]
        num, length = len(self._waiting), work.lengths[index]
        return self._lanes is not None and self._lanes.gain(self._speed, num, length)

    def _leave(self, entry: tuple[float, int, Work, int]) -> float:
        """Notes that a text does not wait any more; gives what it takes alone."""
        _, _, work, index = entry
        cost = self._speed.of(1, work.lengths[index])
        if work in self._left_s:
            self._left_s[work] -= cost
            work.num_waiting -= 1
            if not work.num_waiting:
                del self._left_s[work]
        return cost

    def _companions(self, first: tuple[float, int, Work, int], lanes: Lanes | None) -> list[Any]:
        """Takes out of the queue what joins `first`, the nearest in length before the others."""
        length = first[2].lengths[first[3]]
        speed = self._speed if lanes is None else lanes.speed
        most = min(self._max_texts, speed.largest(length))
        if lanes is not None:  # each has its share, and none waits for the others' end
            most = min(most, math.ceil((1 + len(self._waiting)) / lanes.num))
        if most == 1 or not self._waiting:
            return []
        looked_at = [
            heapq.heappop(self._waiting) for _ in range(min(_LOOKED_AT, len(self._waiting)))
        ]
        near = sorted(
            (entry for entry in looked_at if not entry[2].abandoned),
            key=lambda own: abs(own[2].lengths[own[3]] - length),
        )[: most - 1]
        lengths = [length, *(work.lengths[index] for _, _, work, index in near)]
        chosen = near[: speed.best(lengths, max_tokens=self._max_tokens) - 1]
        taken = set(map(id, chosen))
        for entry in looked_at:
            if id(entry) not in taken:
                heapq.heappush(self._waiting, entry)
        return chosen

    def _deliver(self, texts: Sequence[tuple[Work, int]], answer: Outputs | Exception) -> None:
        """Hands each request what came of its texts, on the event loop that it waits on."""
        with self._changed:  # a request's texts may be in several batches at once
            done = finished(texts, answer)
        for work, result in done:
            work.done.get_loop().call_soon_threadsafe(settle, work, result)

    @contextmanager
    def _timed(self, texts: Sequence[tuple[Work, int]]) -> Iterator[None]:
        """Notes how long a batch waited and took, and how that compares with what was expected."""
        lengths = [work.lengths[index] for work, index in texts]
        with self._changed:
            num_beside = len(self._running)
            started = perf_counter()
            for work, _ in texts:
                if work.queue_s is None:
                    work.queue_s = started - work.submitted
        yield
        taken = perf_counter() - started
        alone = sum(self._speed.of(1, length) for length in lengths)
        with self._changed:
            num_beside = max(num_beside, len(self._running))
            if alone:
                self._slowness = 0.9 * self._slowness + 0.1 * taken / num_beside / alone
            for work, _ in texts:
                work.inference_s += taken / len(texts)
        if self._on_batch is not None:
            self._on_batch(len(texts), len(texts) * max(lengths))
