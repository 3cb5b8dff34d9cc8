"""Who shares a batch, who is next, and what becomes of faults."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.serving._cores import Cores
from tunesmith.serving._speed import Lanes, Speed, measure_speeds
from tunesmith.serving.batcher import Batcher, Work
from tunesmith.types import Outputs

from .hash_runtime import HashRuntime

T = TypeVar("T")
LINEAR = {length: {1: length / 1e6} for length in (4, 8, 16)}
GAINING = Speed({length: {**row, 8: 2 * row[1], 32: 6 * row[1]} for length, row in LINEAR.items()})
NEVER_GAINING = Speed(LINEAR)


def texts_of(lengths: Sequence[int], word: str = "a") -> list[tuple[str]]:
    return [(" ".join([word] * length),) for length in lengths]


def with_batcher(
    do: Callable[[Batcher, HashRuntime], Awaitable[T]],
    *,
    speed: Speed = GAINING,
    max_texts: int = 32,
    max_tokens: int = 256,
) -> tuple[T, HashRuntime]:
    runtime = HashRuntime()

    async def session() -> T:
        batcher = Batcher(runtime, max_texts=max_texts, max_tokens=max_tokens, speed=speed)
        try:
            return await do(batcher, runtime)
        finally:
            await asyncio.to_thread(batcher.stop)

    return asyncio.run(session()), runtime


def submit(batcher: Batcher, lengths: Sequence[int], word: str = "a") -> Work:
    return batcher.submit(HashRuntime().tokenize(texts_of(lengths, word)))


def held(runtime: HashRuntime, batcher: Batcher) -> threading.Event:
    """Keeps the thread busy with one text, so that all that is submitted now waits."""
    runtime.gate = gate = threading.Event()
    submit(batcher, [1], "busy")
    assert runtime.started.wait(20)
    return gate


@settings(deadline=None, max_examples=60)
@given(
    requests=st.lists(st.lists(st.integers(1, 16), min_size=1, max_size=30), max_size=12),
    max_texts=st.integers(1, 40),
    max_tokens=st.integers(1, 300),
    gains=st.booleans(),
)
def test_every_text_gets_its_own_scores_within_the_limits(
    requests: list[list[int]], max_texts: int, max_tokens: int, gains: bool
) -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> list[np.ndarray]:
        works = [submit(batcher, lengths, f"r{i}") for i, lengths in enumerate(requests)]
        return [await work.done for work in works]

    found, runtime = with_batcher(
        do,
        speed=GAINING if gains else NEVER_GAINING,
        max_texts=max_texts,
        max_tokens=max_tokens,
    )
    for i, (lengths, scores) in enumerate(zip(requests, found, strict=True)):
        assert np.array_equal(scores, runtime.scored(texts_of(lengths, f"r{i}")).scores)
    for batch in runtime.batches:
        longest = max(len(runtime.tokens(one)) for one in batch)
        assert len(batch) == 1 or len(batch) * longest <= max_tokens
        assert len(batch) <= (max_texts if gains else 1)


def test_texts_of_many_requests_share_a_batch() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        works = [submit(batcher, [4]) for _ in range(20)]
        gate.set()
        for work in works:
            await work.done

    _, runtime = with_batcher(do, max_tokens=1_000)
    assert [len(batch) for batch in runtime.batches] == [1, 8, 8, 1, 1, 1, 1]


def test_the_nearest_in_length_join_and_padding_is_not_wasted() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        works = [submit(batcher, [length]) for length in (4, 16, 4, 16, 4, 16)]
        gate.set()
        for work in works:
            await work.done

    slight = Speed({length: {**row, 8: 7 * row[1]} for length, row in LINEAR.items()})
    _, runtime = with_batcher(do, speed=slight)
    joined = [{len(runtime.tokens(one)) for one in batch} for batch in runtime.batches[1:]]
    assert all(len(lengths) == 1 for lengths in joined)


def test_requests_come_forward_by_what_they_were_given() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        long = submit(batcher, [8] * 40, "long")
        short = [submit(batcher, [8], f"short{place}") for place in range(3)]
        gate.set()
        for work in (*short, long):
            await work.done

    _, runtime = with_batcher(do, speed=NEVER_GAINING)
    words = [runtime.tokens(batch[0])[0] for batch in runtime.batches[1:]]
    assert words[:4] == ["0:long", "0:short0", "0:short1", "0:short2"]


def test_a_fault_is_told_to_those_in_the_batch_alone() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        runtime.fault = ValueError("a fault")
        with pytest.raises(ValueError, match="a fault"):
            await submit(batcher, [1, 2, 3]).done
        runtime.fault = None
        assert (await submit(batcher, [1]).done).shape == (1, 4)

    with_batcher(do)


def test_states_that_are_not_there_are_a_fault_of_who_wants_them() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        runtime.embedding_size = None
        gate = held(runtime, batcher)
        states = batcher.submit(HashRuntime().tokenize(texts_of([4, 4])), states=True)
        scores = submit(batcher, [4] * 6)
        gate.set()
        with pytest.raises(RuntimeError, match="no states"):
            await asyncio.wait_for(states.done, 20)
        assert (await asyncio.wait_for(scores.done, 20)).shape == (6, 4)
        assert len(runtime.batches[1]) == 8, "in one batch"

    with_batcher(do)


def test_abandoned_texts_are_left_out_and_the_wait_falls() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        before = batcher.wait_s(1.0)
        unwanted = submit(batcher, [16] * 50, "unwanted")
        assert batcher.wait_s(1.0) > before
        batcher.abandon(unwanted)
        assert batcher.wait_s(1.0) == pytest.approx(before)
        gate.set()
        await submit(batcher, [1], "wanted").done
        while batcher.wait_s(1.0):  # until the thread has looked what is next
            await asyncio.sleep(0.001)

    _, runtime = with_batcher(do)
    assert [runtime.tokens(batch[0])[0] for batch in runtime.batches] == ["0:busy", "0:wanted"]


def test_a_single_text_waits_for_one_text_of_each_request_before_it() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        busy, own = batcher.wait_s(0.0), batcher.cost_s([16])
        for _ in range(3):
            submit(batcher, [16] * 100)
        assert batcher.wait_s(own) - busy == pytest.approx(3 * own)
        assert batcher.wait_s(100 * own) - busy == pytest.approx(300 * own)
        gate.set()

    with_batcher(do, speed=NEVER_GAINING)


def test_speed_of_what_was_not_measured() -> None:
    speed = Speed({10: {1: 1.0, 4: 2.0}, 20: {1: 2.0}})
    assert speed.of(1, 10) == 1.0
    assert speed.of(1, 5) == 0.5
    assert speed.of(2, 10) == speed.of(4, 10) == 2.0
    assert speed.of(6, 10) == 4.0
    assert speed.of(3, 40) == 12.0
    assert speed.largest(7) == 4
    assert speed.largest(15) == 1


def test_the_batch_that_gains_most() -> None:
    """Sizes between may be slow: they are passed over, and not taken on the way to a good one."""
    speed = Speed({10: {1: 1.0, 2: 3.0, 4: 5.0, 8: 4.0, 16: 12.0}})
    for available, best in ((1, 1), (2, 1), (7, 1), (8, 8), (15, 8), (20, 8)):
        assert speed.best([10] * available, max_tokens=1_000) == best
    assert speed.best([10] * 8, max_tokens=79) == 1
    assert speed.best([1, *[10] * 7], max_tokens=1_000) == 8
    assert speed.best([10, *[1] * 7], max_tokens=1_000) == 1


def test_every_size_is_measured() -> None:
    def run(size: int, length: int) -> float:
        return 0.002 if size <= 4 else 0.004 * size

    [speed] = measure_speeds([run], 64, max_texts=16, budget_s=20)
    assert {length: list(row) for length, row in speed.seconds.items()} == {16: [1, 2, 4, 8, 16]}
    assert speed.best([16] * 16, max_tokens=10_000) == 4


def test_measuring_keeps_to_its_budget() -> None:
    calls: list[int] = []

    def run(size: int, length: int) -> float:
        calls.append(size)
        return 0.01

    [speed] = measure_speeds([run], 300, max_texts=32, budget_s=0.0)
    assert set(calls) == {1}
    assert [speed.largest(length) for length in (16, 64, 256)] == [1, 1, 1]


BESIDE = Speed({length: {1: 1.2 * row[1]} for length, row in LINEAR.items()})
"""A text takes a fifth longer beside others: side by side two are sooner done, one alone is not."""


def side_by_side(do: Callable[[Batcher, HashRuntime], Awaitable[T]], num: int = 2) -> HashRuntime:
    runtime = HashRuntime(lanes=num, lanes_open=True)

    async def session() -> None:
        lanes = Lanes(num, BESIDE)
        batcher = Batcher(runtime, max_texts=32, max_tokens=256, speed=NEVER_GAINING, lanes=lanes)
        try:
            await do(batcher, runtime)
        finally:
            await asyncio.to_thread(batcher.stop)

    asyncio.run(session())
    return runtime


def test_where_several_wait_batches_run_side_by_side() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        works = [submit(batcher, [4], f"r{place}") for place in range(9)]
        gate.set()
        for place, work in enumerate(works):
            expected = runtime.scored(texts_of([4], f"r{place}")).scores
            assert np.array_equal(await work.done, expected)

    runtime = side_by_side(do, num=3)
    assert runtime.beside[:8] == [False, *[True] * 7]
    assert len(runtime.beside) == 10  # the last one may find nobody to be beside


def test_no_more_run_at_once_than_there_are_lanes() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        works = [submit(batcher, [4]) for _ in range(6)]
        runtime.gate = second = threading.Event()
        gate.set()
        while runtime.running < 3 or False in runtime.beside[1:]:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert runtime.running == 3
        second.set()
        for work in works:
            await work.done

    assert side_by_side(do, num=3).most_running == 3


def test_a_text_that_comes_alone_has_all_cores() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        for _ in range(5):
            await submit(batcher, [4]).done

    assert side_by_side(do).beside == [False] * 5


def test_one_that_comes_while_others_run_joins_them() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        works = [submit(batcher, [4]), submit(batcher, [4])]
        runtime.gate = second = threading.Event()
        gate.set()
        while runtime.running < 2:
            await asyncio.sleep(0.001)
        works.append(submit(batcher, [4]))
        second.set()
        for work in works:
            await work.done

    assert side_by_side(do, num=3).beside == [False, True, True, True]


@settings(deadline=None, max_examples=30)
@given(
    requests=st.lists(st.lists(st.integers(1, 16), min_size=1, max_size=30), max_size=12),
    num=st.integers(2, 5),
)
def test_every_text_gets_its_own_scores_side_by_side(requests: list[list[int]], num: int) -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        works = [submit(batcher, lengths, f"r{i}") for i, lengths in enumerate(requests)]
        for i, (lengths, work) in enumerate(zip(requests, works, strict=True)):
            scores = await work.done
            assert np.array_equal(scores, runtime.scored(texts_of(lengths, f"r{i}")).scores)
        assert batcher.wait_s(0.0) == pytest.approx(0.0, abs=1e-3)

    side_by_side(do, num)


def test_lanes_take_equal_shares_of_what_waits() -> None:
    async def do(batcher: Batcher, runtime: HashRuntime) -> None:
        gate = held(runtime, batcher)
        works = [submit(batcher, [4]) for _ in range(8)]
        gate.set()
        for work in works:
            await work.done

    runtime = HashRuntime(lanes=2, lanes_open=True)
    gaining = {length: {**row, 4: 2 * row[1], 8: 3 * row[1]} for length, row in LINEAR.items()}

    async def session() -> None:
        batcher = Batcher(
            runtime, max_texts=32, max_tokens=256,
            speed=NEVER_GAINING, lanes=Lanes(2, Speed(gaining)),
        )  # fmt: skip
        await do(batcher, runtime)
        await asyncio.to_thread(batcher.stop)

    asyncio.run(session())
    assert sorted(len(batch) for batch in runtime.batches[1:])[-2:] == [1, 4]


def test_lanes_are_used_where_measuring_says_that_they_gain() -> None:
    class Timed(HashRuntime):
        def run(self, rows: Sequence[Any], *, beside: bool = False) -> Outputs:
            threading.Event().wait(0.004 if beside else self.alone_s)
            return super().run(rows, beside=beside)

    def used(alone_s: float) -> bool:
        runtime = Timed(lanes=2)
        runtime.alone_s = alone_s

        async def session() -> bool:
            batcher = Batcher(runtime, max_texts=1, max_tokens=256)
            example = texts_of([4])[0]
            await asyncio.to_thread(batcher.warm_up, lambda _: example)
            await asyncio.to_thread(batcher.open_lanes, lambda _: example)
            runtime.beside.clear()
            works = [submit(batcher, [4]) for _ in range(20)]
            for work in works:
                await work.done
            await asyncio.to_thread(batcher.stop)
            return any(runtime.beside)

        found = asyncio.run(session())
        assert runtime.lanes_open == found
        return found

    assert used(0.004)
    assert not used(0.0005)


def test_gain_of_lanes() -> None:
    lanes = Lanes(4, Speed({10: {1: 2.0}}))
    alone = Speed({10: {1: 1.0}})
    assert [lanes.gain(alone, num, 10) for num in (1, 2, 3, 4, 9)] == [
        False, False, True, True, True,
    ]  # fmt: skip
    batches = Speed({10: {1: 1.0, 8: 2.0}})
    assert lanes.gain(batches, 4, 10)
    assert not lanes.gain(batches, 8, 10)
    assert not Lanes(2, Speed({10: {1: 2.0}})).ever_gain(alone)


def test_waiting_for_the_cores_is_not_taken_for_slowness() -> None:
    """Another model's batches stand in between; lanes that are slower are refused all the same."""
    cores = Cores()
    over = threading.Event()

    def other() -> None:
        while not over.is_set():
            with cores.alone():
                over.wait(0.02)

    class Slow(HashRuntime):
        def run(self, rows: Sequence[Any], *, beside: bool = False) -> Outputs:
            threading.Event().wait(0.008 if beside else 0.002)
            return super().run(rows, beside=beside)

    runtime = Slow(lanes=2)

    async def session() -> float:
        batcher = Batcher(runtime, max_texts=1, max_tokens=256, cores=cores)
        example = texts_of([4])[0]
        await asyncio.to_thread(batcher.warm_up, lambda _: example)
        await asyncio.to_thread(batcher.open_lanes, lambda _: example)
        cost_s = batcher.cost_s([runtime.max_length])
        await asyncio.to_thread(batcher.stop)
        return cost_s

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert asyncio.run(session()) < 0.015
    finally:
        over.set()
        thread.join()
    assert not runtime.lanes_open


def test_lanes_that_cannot_be_had_are_done_without() -> None:
    class Faulty(HashRuntime):
        def run(self, rows: Sequence[Any], *, beside: bool = False) -> Outputs:
            if beside:
                raise MemoryError
            return super().run(rows, beside=beside)

    runtime = Faulty(lanes=2)

    async def session() -> None:
        batcher = Batcher(runtime, max_texts=1, max_tokens=256)
        await asyncio.to_thread(batcher.open_lanes, lambda _: texts_of([4])[0])
        assert (await submit(batcher, [4]).done).shape == (1, 4)
        await asyncio.to_thread(batcher.stop)

    asyncio.run(session())
    assert not runtime.lanes_open


def test_stopping_does_not_wait_for_the_end_of_measuring() -> None:
    class Slow(HashRuntime):
        def run(self, rows: Sequence[Any], *, beside: bool = False) -> Outputs:
            threading.Event().wait(0.1)
            return super().run(rows, beside=beside)

    runtime = Slow(lanes=2)

    async def session() -> None:
        batcher = Batcher(runtime, max_texts=1, max_tokens=256)
        opening = asyncio.create_task(
            asyncio.to_thread(batcher.open_lanes, lambda _: texts_of([4])[0])
        )
        while not runtime.beside:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(batcher.stop)
        await opening

    asyncio.run(session())
    assert len(runtime.beside) <= 4, "of some thirty"
