"""Answers that are kept: the same ones, at once, and no more of them than was said."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.serving import Limits
from tunesmith.serving._cache import KeptScores, ResultCache
from tunesmith.serving.data_plane import DataPlane
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.refusals import Overloaded

from .hash_runtime import HashRuntime

Serve = Callable[..., TestClient]
PARTS = st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=3).map(tuple)


def kept(number: float) -> KeptScores:
    return KeptScores(np.full(2, number, dtype=np.float32), 1)


@settings(deadline=None)
@given(first=PARTS, second=PARTS, versions=st.tuples(st.text(max_size=3), st.text(max_size=3)))
def test_keys_differ_where_anything_does(
    first: tuple, second: tuple, versions: tuple[str, str]
) -> None:
    same = ResultCache.key(versions[0], first) == ResultCache.key(versions[1], second)
    assert same == (versions[0] == versions[1] and first == second)


def test_keys_of_arrays_hold_their_shape_and_kind() -> None:
    arrays = [np.zeros(4), np.zeros((2, 2)), np.zeros(8, dtype=np.float32), b"\0" * 32]
    assert len({ResultCache.key("1", (array,)) for array in arrays}) == 4


@settings(deadline=None)
@given(
    size=st.integers(1, 5),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 8)), max_size=60),
)
def test_forgets_what_was_asked_for_longest_ago(size: int, steps: list[tuple[bool, int]]) -> None:
    cache, order = ResultCache(size), []
    for puts, number in steps:
        key = ResultCache.key("1", (str(number),))
        if puts:
            cache.put(key, kept(number))
        found = cache.get(key)
        assert (found is not None) == (puts or number in order)
        if found is not None:
            assert found.scores.tolist() == [number, number]
            order = [*(one for one in order if one != number), number][-size:]
    assert len(cache) == len(order)


def test_answers_alike_and_says_so(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, cache=ResultCache(10))
    first = client.post("/v1/predict", json={"texts": ["a b", "c " * 20]})
    assert "cache-status" not in first.headers
    runtime.batches.clear()
    again = client.post("/v1/predict", json={"texts": ["a b", "c " * 20]})
    assert again.json() == first.json()
    assert again.json()["warnings"] == ["texts[1]: 20 tokens, only the first 16 were read"]
    assert again.headers["cache-status"] == "tunesmith; hit"
    assert again.headers["server-timing"] == "queue;dur=0.0, inference;dur=0.0"
    assert runtime.batches == []


def test_asks_only_for_what_it_lacks(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, cache=ResultCache(10))
    client.post("/v1/predict", json={"texts": ["b"]})
    runtime.batches.clear()
    answer = client.post("/v1/predict", json={"texts": ["a", "b", "c"], "top_k": 1})
    assert sorted(text for batch in runtime.batches for (text,) in batch) == ["a", "c"]
    assert answer.headers["cache-status"] == 'tunesmith; fwd=partial; detail="1 of 3 texts"'
    labels = [one["label"] for one in answer.json()["predictions"]]
    assert labels == [one.label for one in runtime.predict(["a", "b", "c"])]  # type: ignore[union-attr]


def test_serves_every_protocol(serve: Serve) -> None:
    client = serve(HashRuntime(), cache=ResultCache(10))
    client.post("/v1/predict", json={"texts": ["a"]})
    answer = client.post("/predict", json={"inputs": "a"})
    assert answer.headers["cache-status"] == "tunesmith; hit"


def test_counts_hits_and_misses_and_no_times_of_hits(serve: Serve) -> None:
    client = serve(HashRuntime(), cache=ResultCache(10))
    for _ in range(3):
        client.post("/v1/predict", json={"texts": ["a", "b"]})
    metrics = client.get("/metrics").text
    of = 'model="Tickets"'
    version = 'version="0123456789ab"'
    for wanted in [
        f'tunesmith_cache_lookups_total{{{of},result="hit",{version}}} 4.0',
        f'tunesmith_cache_lookups_total{{{of},result="miss",{version}}} 2.0',
        f"tunesmith_texts_total{{{of},{version}}} 6.0",
        f"tunesmith_tokens_total{{{of},{version}}} 2.0",
        f'tunesmith_stage_seconds_count{{{of},stage="inference",{version}}} 1.0',
    ]:
        assert wanted in metrics


def test_without_it_nothing_is_looked_up(client: TestClient) -> None:
    for _ in range(2):
        answer = client.post("/v1/predict", json={"texts": ["a"]})
        assert "cache-status" not in answer.headers
    assert "cache_lookups_total{" not in client.get("/metrics").text


def test_explanations_leave_it_alone(serve: Serve) -> None:
    cache = ResultCache(10)
    client = serve(HashRuntime(), cache=cache)
    client.post("/v1/explain", json={"texts": ["a b c"]})
    assert len(cache) == 0


@pytest.mark.parametrize("fault", ["nan", "error"])
def test_faults_are_not_kept(serve: Serve, fault: str) -> None:
    class Broken(HashRuntime):
        def scored(self, inputs: object) -> object:  # type: ignore[override]
            found = super().scored(inputs)  # type: ignore[arg-type]
            assert found.scores is not None
            found.scores[:] = float("nan")
            return found

    cache = ResultCache(10)
    runtime = Broken() if fault == "nan" else HashRuntime()
    client = serve(runtime, cache=cache)
    if fault == "error":
        runtime.fault = RuntimeError("broken")
    assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 500
    assert len(cache) == 0


def plane_of(runtime: HashRuntime, cache: ResultCache) -> DataPlane:
    counted = ServingMetrics().of("Tickets", runtime.version)
    return DataPlane(runtime, limits=Limits(max_queue=1), metrics=counted, cache=cache)


def test_what_is_kept_is_answered_while_others_wait() -> None:
    runtime, cache = HashRuntime(), ResultCache(10)

    async def do() -> None:
        plane = plane_of(runtime, cache)
        async with plane.running():
            before = await plane.predict(["a"])
            runtime.gate = threading.Event()
            waiting = asyncio.create_task(plane.predict(["b"]))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="more requests waiting"):
                await plane.predict(["c"])
            assert (await plane.predict(["a"])).predictions == before.predictions
            runtime.gate.set()
            await waiting
        with pytest.raises(Overloaded, match="starting or stopping"):
            await plane.predict(["a"])

    asyncio.run(do())


def test_versions_that_share_it_keep_to_themselves() -> None:
    class Other(HashRuntime):
        def scored(self, inputs: object) -> object:  # type: ignore[override]
            found = super().scored(inputs)  # type: ignore[arg-type]
            assert found.scores is not None
            found.scores[:] *= -1
            return found

    async def do() -> None:
        cache = ResultCache(10)
        one, other = plane_of(HashRuntime(version="1"), cache), plane_of(Other(version="2"), cache)
        async with one.running(), other.running():
            for _ in range(2):
                first, second = await one.predict(["a b"]), await other.predict(["a b"])
                assert (first.scores == -second.scores).all()
            assert (first.num_cached, second.num_cached, len(cache)) == (1, 1, 2)

    asyncio.run(do())
