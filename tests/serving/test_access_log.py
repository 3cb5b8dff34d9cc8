"""A line a request: who, what, how much; the texts only where that was asked for."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tunesmith.errors import OutputError
from tunesmith.events import log_event
from tunesmith.serving import logging_to
from tunesmith.serving.security import Access

from .hash_runtime import HashRuntime, make_app


def log_of(tmp_path: Path, kind: str, *, log_texts: bool = False) -> tuple[list[str], Access]:
    access, file = Access(), tmp_path / "server.log"
    app = make_app(HashRuntime(), access=access, log_texts=log_texts)
    with logging_to(kind, file), TestClient(app) as client:  # type: ignore[arg-type]
        headers = {"x-api-key": str(access.start_key), "x-request-id": "trace-1"}
        body = {"texts": ["my secret", "two"]}
        client.post("/v1/predict?my+secret", json=body, headers=headers)
        client.request("BREW", "/my/secret", headers={"x-request-id": "trace-2"})
        client.get("/healthz")  # all is well: no news
        client.head("/login")
        client.post("/login", json={"key": access.login_token})
    return file.read_text().splitlines(), access


def test_json_for_programs(tmp_path: Path) -> None:
    lines, access = log_of(tmp_path, "json")
    entries = [json.loads(line) for line in lines]
    first, second, third, fourth = [line for line in entries if line.get("event") == "request"]
    assert first["time"].endswith("Z")
    assert 0 <= first.pop("duration_ms") < 60_000
    assert first.pop("bytes") > 50
    assert {**first, "time": ""} == {
        "time": "",
        "level": "info",
        "event": "request",
        "method": "POST",
        "route": "/v1/predict",
        "status": 200,
        "code": "-",
        "texts": 2,
        "tokens": 3,
        "key": str(access.start_key).split("_")[1],
        "request_id": "trace-1",
    }
    assert (second["method"], second["route"], second["code"]) == (
        "other",
        "unknown",
        "unauthorized",
    )
    assert (third["method"], third["bytes"], third["key"]) == ("HEAD", 0, "-")
    assert fourth["status"] == 204
    [ready] = [line for line in entries if line.get("event") == "ready"]
    assert {**ready, "time": ""} == {
        "time": "",
        "level": "info",
        "event": "ready",
        "model_version": "0123456789ab",
    }
    assert "secret" not in "".join(lines)


def test_text_for_people(tmp_path: Path) -> None:
    lines, _ = log_of(tmp_path, "text")
    line = next(line for line in lines if "route=/v1/predict" in line)
    assert " INFO event=request method=POST route=/v1/predict status=200 " in line
    assert "secret" not in "".join(lines)


def test_off_leaves_faults_alone(tmp_path: Path) -> None:
    assert log_of(tmp_path, "off")[0] == []


@pytest.mark.parametrize("kind", ["json", "text"])
def test_texts_where_that_was_asked_for_and_never_keys(tmp_path: Path, kind: str) -> None:
    lines, access = log_of(tmp_path, kind, log_texts=True)
    assert len([line for line in lines if "my secret" in line]) == 1
    assert str(access.login_token) not in "".join(lines)
    assert all("\n" not in line for line in lines)


def test_says_that_a_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--log-file"), logging_to("json", tmp_path / "no" / "a"):
        pass


def test_the_logger_is_as_before(tmp_path: Path) -> None:
    logger = logging.getLogger("tunesmith.serving")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with logging_to("text", tmp_path / "a"):
        pass
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_what_a_terminal_would_obey_is_spelled_out(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    with logging_to("text", file):
        log_event(logging.ERROR, "deploy_failed", error="a\u2028b \x9b2J \u202e ä")
    [line] = file.read_text(encoding="utf-8").splitlines()
    assert line.endswith('error="a\\u2028b \\u009b2J \\u202e ä"')
