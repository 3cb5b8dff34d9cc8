"""Apps around the hash runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from tunesmith.serving import Limits

from .hash_runtime import HashRuntime, make_app, wait_until_ready


@pytest.fixture
def runtime() -> HashRuntime:
    return HashRuntime()


@pytest.fixture
def serve() -> Iterator[Callable[..., TestClient]]:
    """Starts apps, warm, and stops them after the test."""
    running: list[TestClient] = []

    def start(
        runtime: HashRuntime, limits: Limits | None = None, *, warm: bool = True, **changes: object
    ) -> TestClient:
        client = TestClient(make_app(runtime, limits, **changes), raise_server_exceptions=False)
        client.__enter__()
        running.append(client)
        if warm:
            wait_until_ready(client)
            runtime.batches.clear()
            runtime.started.clear()
        return client

    yield start
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Callable[..., TestClient], runtime: HashRuntime) -> TestClient:
    return serve(runtime)
