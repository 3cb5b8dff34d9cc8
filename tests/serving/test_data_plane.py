"""Batches, order, turns and the queue, without HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.errors import ConfigError
from tunesmith.serving import Limits
from tunesmith.serving.data_plane import DataPlane
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.refusals import Overloaded, Refused

from .hash_runtime import MANY_LABELS, ONE_LABEL, HashRuntime

T = TypeVar("T")
TEXTS = st.lists(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60).filter(
        lambda text: any(character.isalnum() for character in text)
    ),
    min_size=1,
    max_size=40,
)


def with_plane(
    runtime: HashRuntime,
    do: Callable[[DataPlane], Awaitable[T]],
    limits: Limits | None = None,
    *,
    warm: bool = True,
) -> T:
    async def session() -> T:
        plane = DataPlane(
            runtime, limits=limits or Limits(), metrics=ServingMetrics().of("Tickets", "1")
        )
        async with plane.running():
            while warm and not plane.ready:
                await asyncio.sleep(0.001)
            runtime.batches.clear()
            return await do(plane)

    return asyncio.run(session())


@settings(deadline=None, max_examples=60)
@given(
    texts=TEXTS,
    batch_texts=st.integers(1, 9),
    batch_tokens=st.integers(1, 60),
    task=st.sampled_from([ONE_LABEL, MANY_LABELS]),
)
def test_a_text_is_answered_alike_in_any_batch(
    texts: list[str], batch_texts: int, batch_tokens: int, task: object
) -> None:
    runtime = HashRuntime(task=task)  # type: ignore[arg-type]
    limits = Limits(batch_texts=batch_texts, batch_tokens=batch_tokens)

    async def do(plane: DataPlane) -> None:
        together = await plane.predict(texts)
        alone = [(await plane.predict([text])).predictions[0] for text in texts]
        assert together.predictions == alone == runtime.predict(texts)

    with_plane(runtime, do, limits, warm=False)


def test_one_inference_at_a_time() -> None:
    runtime = HashRuntime()

    async def do(plane: DataPlane) -> None:
        answers = await asyncio.gather(
            *(plane.predict([f"text {number}"] * 9) for number in range(30))
        )
        for number, answer in enumerate(answers):
            assert answer.predictions == runtime.predict([f"text {number}"] * 9)

    with_plane(runtime, do, Limits(batch_texts=2))
    assert runtime.most_running == 1


def test_a_short_request_overtakes_a_long_one() -> None:
    runtime = HashRuntime()
    finished: list[str] = []

    async def ask(plane: DataPlane, name: str, texts: Sequence[str]) -> None:
        await plane.predict(texts)
        finished.append(name)

    async def do(plane: DataPlane) -> None:
        await asyncio.gather(ask(plane, "long", ["a"] * 500), ask(plane, "short", ["b"]))

    with_plane(runtime, do, Limits(batch_texts=4))
    assert finished == ["short", "long"]


def test_a_full_queue_refuses() -> None:
    runtime = HashRuntime()

    async def do(plane: DataPlane) -> None:
        runtime.gate = threading.Event()
        waiting = [asyncio.create_task(plane.predict(["a"])) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await plane.predict(["b"])
        assert caught.value.code == "overloaded"
        assert caught.value.retry_after_s >= 1
        runtime.gate.set()
        await asyncio.gather(*waiting)
        assert (await plane.predict(["b"])).predictions

    with_plane(runtime, do, Limits(max_queue=3))


def test_who_waits_too_long_is_told_so() -> None:
    runtime = HashRuntime()

    async def do(plane: DataPlane) -> None:
        runtime.gate = threading.Event()
        with pytest.raises(Overloaded) as caught:
            await plane.predict(["a"])
        assert caught.value.code == "timed_out"
        assert "no answer within 0.05 s" in caught.value.message
        runtime.gate.set()
        assert (await plane.predict(["b"])).predictions

    with_plane(runtime, do, Limits(timeout_s=0.05))


def test_work_that_nobody_waits_for_stops() -> None:
    runtime = HashRuntime()

    async def gone() -> bool:
        return True

    async def do(plane: DataPlane) -> None:
        runtime.gate = threading.Event()
        with pytest.raises(Refused) as caught:
            await plane.predict(["a"] * 100, abandoned=gone)
        assert caught.value.code == "client_gone"
        runtime.gate.set()

    with_plane(runtime, do)
    assert sum(map(len, runtime.batches)) <= 32


def test_limits_must_be_above_zero() -> None:
    with pytest.raises(ConfigError, match="max_texts: must be above zero, and is 0") as caught:
        Limits(max_texts=0, timeout_s=-1)
    assert len(caught.value.faults) == 2
