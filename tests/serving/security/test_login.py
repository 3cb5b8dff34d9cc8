"""The page for people: a link that works once, a cookie that no script reads."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tunesmith.serving.security import Access, KeyFile
from tunesmith.serving.security._sessions import SESSION_S, Sessions

from ..hash_runtime import HashRuntime, make_app

HTML = {"accept": "text/html,*/*"}


def test_a_browser_sees_where_to_sign_in(client: TestClient) -> None:
    response = client.get("/", headers=HTML)
    assert response.status_code == 401
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "/login/login.js" in response.text
    assert "Tickets" not in response.text
    assert client.get("/login/login.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/login/page.css").headers["content-type"].startswith("text/css")


def test_the_link_signs_in_once(client: TestClient, access: Access) -> None:
    first = client.post("/login", json={"key": access.login_token})
    assert first.status_code == 204
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert client.get("/", headers=HTML).status_code == 200
    assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 200
    client.cookies.clear()
    again = client.post("/login", json={"key": access.login_token})
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)


def test_a_key_signs_in_until_it_is_revoked(
    key_file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = key_file.create("a", scopes=("predict",))
    monkeypatch.setattr("tunesmith.serving.security._keyring._LOOK_EVERY_S", 0.0)
    client = TestClient(make_app(HashRuntime(), access=Access(key_file)))
    assert client.post("/login", json={"key": f" {text}\n"}).status_code == 204
    assert client.get("/v1/info").status_code == 200
    assert client.get("/metrics").status_code == 403
    key_file.revoke("a")
    assert client.get("/v1/info").status_code == 401


def test_under_tls_the_cookie_is_for_tls_alone(access: Access) -> None:
    client = TestClient(make_app(HashRuntime(), access=access), base_url="https://testserver")
    response = client.post("/login", json={"key": access.login_token})
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "; Secure" in cookie
    assert response.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"key": ""}', b'{"key": 1}', b'{"key": "a", "b": 1}']
)
def test_refuses_what_is_no_login(client: TestClient, body: bytes) -> None:
    assert client.post("/login", content=body).status_code == 422


def test_another_sites_page_cannot_sign_in_or_use_the_cookie(
    client: TestClient, access: Access
) -> None:
    evil = {"origin": "http://evil.example"}
    refused = client.post("/login", json={"key": access.login_token}, headers=evil)
    assert refused.json()["error"]["code"] == "cross_origin"
    assert client.post("/login", json={"key": access.login_token}).status_code == 204
    other_port = {"origin": "http://testserver:3000", "sec-fetch-site": "same-site"}
    response = client.post("/v1/predict", json={"texts": ["a"]}, headers=other_port)
    assert response.status_code == 403


def test_a_wrong_key_beside_a_session_is_wrong(client: TestClient, access: Access) -> None:
    client.post("/login", json={"key": access.login_token})
    assert client.get("/v1/info", headers={"x-api-key": "wrong"}).status_code == 401


def test_signing_out_takes_the_cookie_back(client: TestClient, access: Access) -> None:
    client.post("/login", json={"key": access.login_token})
    assert client.get("/").status_code == 200
    left = client.delete("/login")
    assert left.status_code == 204
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert client.get("/").status_code == 401
    evil = {"origin": "http://evil.example"}
    assert client.delete("/login", headers=evil).status_code == 403


def test_guessing_at_the_login_is_slowed(client: TestClient) -> None:
    statuses = [client.post("/login", json={"key": f"{n}"}).status_code for n in range(11)]
    assert statuses == [401] * 10 + [429]


def test_cookies_are_signed_and_end() -> None:
    now = [1_000_000.0]
    sessions = Sessions(lambda: now[0])
    cookie = sessions.sealed("0123456789ab")
    assert sessions.opened(cookie) == "0123456789ab"
    assert Sessions(lambda: now[0]).opened(cookie) is None  # of another start
    for place in range(len(cookie)):
        for other in "a.0-é":
            if cookie[place] != other:
                assert sessions.opened(cookie[:place] + other + cookie[place + 1 :]) is None
    for wrong in ["", ".", "..", "a.b.c", cookie + "x", cookie * 10]:
        assert sessions.opened(wrong) is None
    now[0] += SESSION_S
    assert sessions.opened(cookie) is None
