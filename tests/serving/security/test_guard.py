"""Without a key nothing is answered, whatever the route, the method or the spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Route
from starlette.types import Message

from tunesmith.serving import Guards, create_admin_app
from tunesmith.serving.security import SCOPES, Access, KeyFile, Quota

from ..hash_runtime import TEST_HOSTS, HashRuntime, make_app

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("DELETE", "/login"),
    ("GET", "/login/login.js"),
    ("GET", "/login/page.css"),
}
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"]
BODY = {"texts": ["hello"]}


def apps(access: Access) -> list[FastAPI]:
    main = make_app(HashRuntime(), access=access)
    return [main, create_admin_app(main, guards=Guards(access, TEST_HOSTS))]


def routes(app: FastAPI) -> set[str]:
    """The path of every route, with something in the place of each of its parameters."""
    found = {*walked(app.routes), *app.openapi()["paths"]}
    return {re.sub(r"\{[^}]*\}", "x", path) for path in found}


def walked(those: Iterable[Any], prefix: str = "") -> Iterator[str]:
    for route in those:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "original_router", route)  # FastAPI keeps included routers whole
        if hasattr(inner, "routes"):
            yield from walked(inner.routes or [], path)
        else:
            yield path


def test_every_route_of_both_apps_wants_a_key(access: Access) -> None:
    found = set()
    for app in apps(access):
        with TestClient(app) as client:
            for path in routes(app) | {"/nope", "/v1/nope"}:
                for method in METHODS:
                    if (method.replace("HEAD", "GET"), path) in OPEN:
                        continue
                    response = client.request(method, path, json=BODY if method == "POST" else None)
                    assert response.status_code == 401, (method, path)
                    assert response.headers["www-authenticate"].startswith("Bearer realm=")
                    found.add(path)
    assert {
        "/v1/predict",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/",
        "/v1/info",
        "/static/page.js",
    } <= found


def test_a_route_that_is_added_later_is_behind_the_guard(access: Access) -> None:
    for app in apps(access):
        app.router.routes.append(Route("/new/{name}", lambda request: None))
        app.mount("/below", FastAPI())
        with TestClient(app) as client:
            assert client.get("/new/route").status_code == 401
            assert client.get("/below/docs").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "//healthz",
        "/healthz/",
        "/HEALTHZ",
        "/healthz/../metrics",
        "/login/../metrics",
        "/login/%2e%2e/metrics",
        "/login//metrics",
        "/login/",
        "/login%2f",
        "/login/..%2fmetrics",
        "/./metrics",
        "//metrics",
        "/metrics/",
        "/%6detrics",
        "/metrics%00",
        "/metrics;/healthz",
        "/healthz%0a",
        "http://testserver/healthz",
        "*",
        "",
        "/metrics?x=/healthz",
        "/static/../healthz",
        "/v1/predict/",
        "/\\healthz",
    ],
)
def test_no_spelling_gets_past(access: Access, path: str) -> None:
    for app in apps(access):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            assert answered(app, method, path) == 401


def test_the_open_paths_are_open(access: Access) -> None:
    for path in ("/healthz", "/healthz?/../metrics", "/%68ealthz"):
        assert [answered(app, "GET", path) for app in apps(access)] == [200, 200]


def answered(app: FastAPI, method: str, target: str) -> int:
    """The status, where nothing between here and the app makes a path look better."""
    raw, _, query = target.partition("?")
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver"), (b"content-type", b"application/json")],
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "http_version": "1.1",
    }
    anyio.run(app, scope, receive, send)
    return int(sent[0]["status"])


def test_web_sockets_are_refused(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/predict"):
        pass


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_opens(client: TestClient, access: Access, header: str) -> None:
    prefix = "Bearer " if header == "authorization" else ""
    headers = {header: f"{prefix}{access.start_key}"}
    assert client.post("/v1/predict", json=BODY, headers=headers).status_code == 200
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/v1/info", "/static/page.js"):
        assert client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x", "Bearer tsk_"]
)
def test_what_is_not_quite_a_key_does_not(client: TestClient, access: Access, value: str) -> None:
    response = client.get("/v1/info", headers={"authorization": value.format(access.start_key)})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "unauthorized"
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


def test_of_two_keys_none_counts(client: TestClient, access: Access) -> None:
    one = ("authorization", f"Bearer {access.start_key}")
    both = [one, ("x-api-key", str(access.start_key))]
    for sent in (both, [one, one]):
        for _ in range(11):  # no guesses: the address is not shut out for them
            response = client.get("/v1/info", headers=sent)
            assert response.status_code == 401
            assert "send one key" in response.json()["error"]["message"]
            assert 'error="invalid_request"' in response.headers["www-authenticate"]
    assert client.get("/v1/info", headers=[one]).status_code == 200


def test_a_key_is_for_its_scopes(key_file: KeyFile) -> None:
    texts = {scope: key_file.create(scope, scopes=(scope,))[1] for scope in SCOPES}
    access = Access(key_file)
    assert access.start_key is None
    main, admin = apps(access)

    def status(app: FastAPI, path: str, scope: str, method: str = "GET") -> int:
        headers = {"authorization": f"Bearer {texts[scope]}"}  # type: ignore[index]
        body = BODY if method == "POST" else None
        with TestClient(app) as client:
            response = client.request(method, path, json=body, headers=headers)
        if response.status_code == 403:
            assert response.json()["error"]["code"] == "insufficient_scope"
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
        return response.status_code

    assert [status(main, "/v1/predict", scope, "POST") for scope in SCOPES] == [200, 403, 403, 200]
    assert [status(main, "/metrics", scope) for scope in SCOPES] == [200, 403, 200, 403]
    assert [status(main, "/v1/explain", scope, "POST") for scope in SCOPES] == [200, 200, 403, 403]
    assert [status(main, "/nope", scope) for scope in SCOPES] == [404, 403, 403, 404]
    assert [status(main, "/v1/info", scope) for scope in SCOPES] == [200] * 4
    assert [status(main, "/v1/live", scope) for scope in SCOPES] == [200] * 4
    assert [status(admin, "/metrics", scope) for scope in SCOPES] == [200, 403, 200, 403]
    assert [status(admin, "/deploy", scope) for scope in SCOPES] == [404, 403, 403, 403]


def test_explained_predictions_need_the_scope_of_explanations(key_file: KeyFile) -> None:
    _, predicts = key_file.create("a", scopes=("predict",))
    _, both = key_file.create("b", scopes=("explain", "predict"))
    with TestClient(make_app(HashRuntime(), access=Access(key_file))) as client:

        def status(key: str, **body: object) -> int:
            headers = {"authorization": f"Bearer {key}"}
            response = client.post("/v1/predict", json={**BODY, **body}, headers=headers)
            if response.status_code == 403:
                assert response.json()["error"]["code"] == "insufficient_scope"
            return response.status_code

        assert [status(key, explain=True) for key in (predicts, both)] == [403, 200]
        assert [status(key, explain=False) for key in (predicts, both)] == [200, 200]


def test_quotas_are_kept(key_file: KeyFile) -> None:
    scopes = ("metrics", "predict")
    _, few = key_file.create("few", scopes=scopes, quota=Quota(rate=0.01, burst=2))
    _, short = key_file.create("short", scopes=scopes, quota=Quota(tokens_per_day=3))
    with TestClient(make_app(HashRuntime(), access=Access(key_file))) as client:

        def ask(key: str, text: str) -> tuple[int, int]:
            headers = {"x-api-key": key}
            response = client.post("/v1/predict", json={"texts": [text]}, headers=headers)
            if response.status_code == 429:
                assert response.json()["error"]["code"] == "quota_exceeded"
                used = "0.01 requests a second" if key == few else "3 tokens a day"
                assert f"used up its {used}; ask" in response.json()["error"]["message"]
            return response.status_code, int(response.headers.get("retry-after", 0))

        assert [ask(few, "a")[0] for _ in range(3)] == [200, 200, 429]
        assert ask(few, "a")[1] > 50
        assert client.get("/v1/info", headers={"x-api-key": few}).status_code == 200
        assert ask(short, "one two")[0] == 200
        assert ask(short, "three four five")[0] == 200
        status, wait_s = ask(short, "six")
        assert (status, wait_s > 3_600) == (429, True)
        assert client.get("/metrics", headers={"x-api-key": short}).status_code == 200


def test_each_protocol_says_in_its_own_words_that_a_quota_is_used_up(key_file: KeyFile) -> None:
    _, key = key_file.create("few", scopes=("predict",), quota=Quota(rate=0.01, burst=1))
    headers = {"x-api-key": key}
    with TestClient(make_app(HashRuntime(), access=Access(key_file))) as client:
        assert client.get("/v1/models", headers=headers).status_code == 200
        tei = client.post("/predict", json={"inputs": "a"}, headers=headers)
        assert (tei.status_code, tei.json()["error_type"]) == (429, "Overloaded")
        openai = client.post("/v1/embeddings", json={"input": "a"}, headers=headers)
        assert (openai.status_code, openai.json()["error"]["type"]) == (429, "rate_limit_error")
        openai = client.post("/v1/embeddings", json={"input": "a"}, headers={"x-api-key": "b"})
        assert (openai.status_code, openai.json()["error"]["type"]) == (401, "authentication_error")


def test_a_wrong_path_is_shown_where_the_right_ones_are_listed(key_file: KeyFile) -> None:
    access = Access(key_file)
    headers = {"x-api-key": str(access.start_key)}
    for app, listed in zip(apps(access), ("/docs", "/openapi.json"), strict=True):
        with TestClient(app) as client:
            message = client.get("/nothing", headers=headers).json()["error"]["message"]
            assert f"GET {listed} lists" in message
            assert client.get(listed, headers=headers).status_code == 200


def test_an_expired_key_is_refused(key_file: KeyFile) -> None:
    _, text = key_file.create("old", scopes=("predict",), expires=datetime(2020, 1, 1, tzinfo=UTC))
    access = Access(key_file)
    assert access.start_key is not None  # no key of the file is active
    client = TestClient(make_app(HashRuntime(), access=access))
    assert client.get("/v1/info", headers={"x-api-key": text}).status_code == 401


def test_guessing_is_slowed_and_does_not_lock_others_out(key_file: KeyFile) -> None:
    made, right = key_file.create("a", scopes=("predict",))
    client = TestClient(make_app(HashRuntime(), access=Access(key_file)))
    wrong = f"tsk_{made.id}_{'x' * 43}"
    guesses = [client.get("/v1/info", headers={"x-api-key": f"guess {n}"}) for n in range(11)]
    assert [one.status_code for one in guesses] == [401] * 10 + [429]
    assert guesses[-1].json()["error"]["code"] == "too_many_failures"
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert client.get("/v1/info", headers={"x-api-key": right}).status_code == 200
    aimed = [client.get("/v1/info", headers={"x-api-key": wrong}).status_code for _ in range(11)]
    assert aimed == [401] * 10 + [429]
    assert client.get("/v1/info", headers={"x-api-key": right}).status_code == 429


def test_the_document_names_keys_and_refusals(client: TestClient, access: Access) -> None:
    headers = {"x-api-key": str(access.start_key)}
    document = client.get("/openapi.json", headers=headers).json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    predict = document["paths"]["/v1/predict"]["post"]
    assert predict["security"] == [{"bearer": ["predict"]}, {"header": ["predict"]}]
    assert {"401", "403", "429"} <= set(predict["responses"])
    assert "security" not in document["paths"]["/healthz"]["get"]
    assert (
        "Bearer" in client.get("/docs", headers=headers).text
        or "data-keyed" in client.get("/docs", headers=headers).text
    )


def test_nothing_secret_is_logged(
    client: TestClient, access: Access, caplog: pytest.LogCaptureFixture
) -> None:
    key = str(access.start_key)
    token = str(access.login_token)
    with caplog.at_level("DEBUG", logger="tunesmith"):
        client.get("/v1/info", headers={"authorization": f"Bearer {key}"})
        client.get("/v1/info", headers={"authorization": f"Bearer {key}x"})
        client.post("/v1/predict", json={"texts": ["confidential"]}, headers={"x-api-key": key})
        client.get(f"/{key}?key={key}")
        client.post("/login", json={"key": token})
        client.post("/login", json={"key": key})
    secret = key.rpartition("_")[2]
    everything = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for text in (secret, token, "confidential"):
        assert text not in everything
    assert f"key={key.split('_')[1]}" in caplog.text
