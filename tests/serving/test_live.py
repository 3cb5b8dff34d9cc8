"""The last seconds in figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.serving import logging_to
from tunesmith.serving._recent import WINDOW_S, Recent

from .hash_runtime import HashRuntime

Serve = Callable[..., TestClient]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_forgets_what_is_longer_ago() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.add_answer(0.2)
    clock.now += WINDOW_S / 2
    recent.add_answer(0.1)
    recent.add_reject()
    recent.add_batch(3)
    recent.add_batch(4)
    found = recent.figures()
    assert (found.requests_per_second, found.rejects_per_second) == (0.2, 0.1)
    assert (found.latency_p50_s, found.latency_p99_s, found.batch_texts) == (0.1, 0.2, 3.5)
    clock.now += WINDOW_S / 2
    assert recent.figures().latency_p99_s == 0.1
    clock.now += WINDOW_S
    found = recent.figures()
    assert (found.requests_per_second, found.rejects_per_second) == (0, 0)
    assert (found.latency_p50_s, found.latency_p99_s, found.batch_texts) == (None, None, None)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_percentiles_are_of_the_requests(seconds: list[float]) -> None:
    recent = Recent(Clock())
    for value in seconds:
        recent.add_answer(value)
    found = recent.figures()
    for percent, value in ((50, found.latency_p50_s), (99, found.latency_p99_s)):
        assert value in seconds
        assert sum(one <= value for one in seconds) * 100 >= percent * len(seconds)
        assert sum(one < value for one in seconds) * 100 < percent * len(seconds)


def test_a_rate_higher_than_what_is_kept() -> None:
    clock = Clock()
    recent = Recent(clock)
    for _ in range(10_000):
        recent.add_answer(0.001)
        clock.now += 0.0005
    assert recent.figures().requests_per_second == pytest.approx(2_000, rel=0.01)


def test_tells_what_was_answered_and_refused(serve: Serve) -> None:
    client = serve(HashRuntime())
    idle = client.get("/v1/live").json()
    assert (idle["latency_p50_ms"], idle["batch_texts"], idle["queue_depth"]) == (None, None, 0)
    for _ in range(3):
        client.post("/v1/predict", json={"texts": ["a"]})
    client.post("/v1/predict", json={"texts": []})
    client.get("/v1/info")
    found = client.get("/v1/live").json()
    assert found["requests_per_second"] == pytest.approx(3 / WINDOW_S)
    assert found["rejects_per_second"] == pytest.approx(1 / WINDOW_S)
    assert 0 < found["latency_p50_ms"] <= found["latency_p99_ms"]
    assert found["batch_texts"] == 1


def test_is_not_logged(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    with logging_to("text", file):
        client = serve(HashRuntime())
        client.get("/v1/live")
        client.get("/v1/info")
    assert "/v1/live" not in file.read_text()
    assert "/v1/info" in file.read_text()
