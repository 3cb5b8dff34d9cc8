"""A bundle's folder in, a server out; and the command that asks it."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tunesmith.errors import OutputError
from tunesmith.runtimes import Runtime
from tunesmith.serving import _serve, curl_line, serve

from .hash_runtime import ONE_LABEL, PAIRS, HashRuntime


def test_the_command_survives_a_shell() -> None:
    words = shlex.split(curl_line("http://127.0.0.1:8080", ONE_LABEL, 'where\'s my "$HOME" größe?'))
    assert words[:4] == [
        "curl",
        "http://127.0.0.1:8080/v1/predict",
        "-H",
        "content-type: application/json",
    ]
    assert json.loads(words[5]) == {"texts": ['where\'s my "$HOME" größe?']}


def test_the_command_names_the_fields_of_a_pair() -> None:
    words = shlex.split(curl_line("http://localhost", PAIRS, "a"))
    assert json.loads(words[-1]) == {"texts": [{"question": "a", "answer": "a"}]}


def test_a_bad_address_is_found_before_the_bundle_is_opened() -> None:
    with pytest.raises(OutputError, match="needs --insecure"):
        serve("/no/such/bundle", host="0.0.0.0", port=0)


def test_serves_what_the_manifest_says(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = HashRuntime()
    base = SimpleNamespace(model_dump=lambda: {"id": "tiny"})
    manifest = SimpleNamespace(
        name="Tickets", base=base, created="2026-11-23", metrics={"accuracy": 0.9}
    )
    served: list[FastAPI] = []
    ready: list[tuple[str, Runtime]] = []

    def run(app: FastAPI, *, host: str, port: int, on_ready: object) -> None:
        served.append(app)
        on_ready(f"http://{host}:{port}")  # type: ignore[operator]

    monkeypatch.setattr(_serve, "open_bundle", lambda folder: SimpleNamespace(manifest=manifest))
    monkeypatch.setattr(_serve, "load", lambda bundle: runtime)
    monkeypatch.setattr(_serve, "run", run)
    serve("bundle", port=0, on_ready=lambda url, loaded: ready.append((url, loaded)))
    assert ready == [("http://127.0.0.1:0", runtime)]
    client = TestClient(served[0], base_url="http://127.0.0.1")
    info = client.get("/v1/info").json()
    assert info["details"]["base"] == {"id": "tiny"}
    assert client.get("/healthz", headers={"host": "testserver"}).status_code == 403
