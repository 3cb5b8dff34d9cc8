"""The server must not be drivable from a page of another site, and its logs hold no texts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from .hash_runtime import HashRuntime, make_app

Serve = Callable[..., TestClient]
ROUTES = ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/info", "/nope"]


@pytest.mark.parametrize("path", ROUTES)
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", [*ROUTES, "/v1/predict", "/static/page.js"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[::1", "127.0.0.2"]
)
def test_every_route_refuses_other_hosts(client: TestClient, path: str, host: str) -> None:
    response = client.get(path, headers={"host": host})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LocalHost:9", "127.0.0.1:8000", "[::1]:8000"])
def test_answers_to_loopback_names(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_testserver_is_no_name_of_its_own(runtime: HashRuntime) -> None:
    app = make_app(runtime, allowed_hosts=("localhost",))
    assert TestClient(app).get("/healthz").status_code == 403


def test_may_answer_to_all_names(runtime: HashRuntime) -> None:
    app = make_app(runtime, allowed_hosts=None)
    response = TestClient(app).get("/healthz", headers={"host": "models.example"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://testserver:81"},
        {"origin": "https://testserver:80"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "file://testserver"},
        {"origin": "http://[testserver"},
        {"origin": "http://testserver:port"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://testserver", "sec-fetch-site": "cross-site"},
    ],
)
def test_refuses_pages_of_other_sites(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/v1/predict", json={"texts": ["a"]}, headers=headers)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "cross_origin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://testserver"},
        {"origin": "http://testserver:80", "sec-fetch-site": "same-origin"},
        {"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"},
        {"origin": "http://[::1]:8000", "host": "[::1]:8000"},
        {"origin": "https://localhost", "host": "localhost"},  # behind a proxy that does TLS
    ],
)
def test_answers_programs_and_its_own_page(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/v1/predict", json={"texts": ["a"]}, headers=headers)
    assert response.status_code == 200


def test_two_origins_are_refused(client: TestClient) -> None:
    headers = [("origin", "http://testserver"), ("origin", "http://evil.example")]
    response = client.post("/v1/predict", json={"texts": ["a"]}, headers=headers)
    assert response.status_code == 403


def test_logs_hold_no_texts(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="tunesmith"):
        client.post("/v1/predict", json={"texts": ["confidential"]})
        client.post("/v1/predict", json={"texts": ["confidential", " "]})
        client.post("/v1/predict", json={"texts": ["a"], "confidential": 1})
        client.post("/v1/predict?confidential", content=b'{"confidential')
        client.get("/confidential?confidential=1", headers={"x-request-id": "confidential text"})
    assert "confidential" not in caplog.text
    lines = [record.getMessage() for record in caplog.records if "event=request" in record.message]
    assert len(lines) == 5
    assert "route=/v1/predict status=200" in lines[0]
    assert "route=/v1/predict status=422" in lines[1]
    assert "code=empty_text" in lines[1]
    assert "route=unknown status=404" in lines[4]
