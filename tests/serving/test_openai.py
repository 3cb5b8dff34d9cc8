"""OpenAI's list of models."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.testclient import TestClient

from .hash_runtime import HashRuntime


def test_lists_the_models(serve: Callable[..., TestClient]) -> None:
    client = serve(HashRuntime(), details={"created": "2026-01-02T03:04:05+00:00"})
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert listed["data"] == [
        {"id": "Tickets", "object": "model", "created": 1767323045, "owned_by": "tunesmith"}
    ]
    assert client.get("/v1/models/Tickets").json() == listed["data"][0]
    missing = client.get("/v1/models/other")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"
    assert missing.json()["error"]["type"] == "invalid_request_error"
