"""A real server waits for nobody for ever, and rotates keys under load."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from tunesmith.serving._connection import Connection
from tunesmith.serving.limits import Limits
from tunesmith.serving.security import KeyFile

from .security.conftest import Started, key_file, start

__all__ = ["key_file", "start"]  # fixtures

Start = Callable[..., Started]
QUICK = {"header_timeout_s": 0.5, "timeout_s": 0.5, "max_connections": 20, "max_header_bytes": 4096}
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=20)


def read_all(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    try:
        while block := client.recv(65_536):
            received += block
    except ConnectionResetError:
        pass
    return received


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code, after headers and shape were checked."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["x-content-type-options"] == "nosniff"
    error = json.loads(body)["error"]
    assert error["request_id"] == headers["x-request-id"]
    return int(lines[0].split()[1]), error["code"]


@pytest.fixture
def server(start: Start) -> Started:
    return start(limits=QUICK)


def test_slow_clients_are_cut_off(server: Started) -> None:
    silent, slow_head, slow_body = (connect(server.url) for _ in range(3))
    slow_body.sendall(HEAD + b"Content-Length: 100\r\nConnection: close\r\n\r\n{")
    slow_head.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    for _ in range(4):
        time.sleep(0.2)
        try:
            slow_head.sendall(b"x")
        except OSError:
            break
    assert read_all(silent) == b""
    assert read_all(slow_head) == b""
    assert problem(read_all(slow_body)) == (408, "body_too_slow")
    for client in (silent, slow_head, slow_body):
        client.close()
    # A kept connection is no way around it.
    with connect(server.url) as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while b"alive" not in received:
            received += kept.recv(65_536)
        kept.sendall(b"GET /hea")
        assert read_all(kept) == b""


def test_what_is_no_request_is_told_so(server: Started) -> None:
    for sent in [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n" * 4_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000,
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 600_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: " + b"x" * 600_000,
    ]:
        with connect(server.url) as client:
            client.sendall(sent)
            assert problem(read_all(client)) == (400, "invalid_http")


@pytest.mark.parametrize("place", ["/{} HTTP/1.1", "/?{} HTTP/1.1", "/ HTTP/1.1\r\nX: {}"])
def test_headers_have_a_limit(server: Started, place: str) -> None:
    with connect(server.url) as client:
        line = f"GET {place.format('x' * 5_000)}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        client.sendall(line.encode())
        assert problem(read_all(client))[1] in {"headers_too_large", "invalid_http"}


def test_too_many_connections_are_refused_and_come_back(server: Started) -> None:
    clients = [connect(server.url) for _ in range(25)]
    refused = [read_all(client) for client in clients[20:]]
    assert [problem(answer) for answer in refused] == [(503, "too_many_connections")] * 5
    for client in clients:
        client.close()
    time.sleep(0.2)
    with connect(server.url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"alive" in read_all(client)


def test_the_admin_listener_has_its_own_routes(start: Start, key_file: KeyFile) -> None:
    _, key = key_file.create("a", scopes=("admin",))
    server = start(keys=key_file.path)

    def status(url: str, path: str) -> int:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)) as connection:
            connection.request("GET", path, headers={"authorization": f"Bearer {key}"})
            response = connection.getresponse()
            response.read()
            assert response.headers["date"]
            return response.status

    assert server.url != server.admin_url
    assert [status(server.admin_url, path) for path in ("/metrics", "/", "/v1/info")] == [
        200,
        404,
        404,
    ]
    assert [status(server.url, path) for path in ("/metrics", "/", "/v1/info")] == [200] * 3
    out, log = server.stop()
    assert out == "returned\n"
    assert [line["status"] for line in log if line.get("event") == "request"] == [
        200,
        404,
        404,
        200,
        200,
        200,
    ]


def test_keys_are_rotated_under_load(start: Start, key_file: KeyFile) -> None:
    _, text = key_file.create("a", scopes=("predict",))
    server = start(keys=key_file.path)
    current = [text]
    statuses: list[int] = []
    done = threading.Event()

    def load() -> None:
        with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)) as client:
            while not done.is_set():
                headers = {
                    "content-type": "application/json",
                    "authorization": f"Bearer {current[0]}",
                }
                client.request("POST", "/v1/predict", '{"texts": ["hello"]}', headers)
                response = client.getresponse()
                response.read()
                statuses.append(response.status)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        newest, text = key_file.rotate(_newest(key_file), grace=timedelta(hours=1))
        time.sleep(1.2)  # a server looks once a second
        current[0] = text
        time.sleep(0.3)
    done.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    key_file.revoke(newest.id)
    time.sleep(1.2)
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)) as client:
        client.request("GET", "/v1/info", headers={"authorization": f"Bearer {text}"})
        assert client.getresponse().status == 401


def _newest(key_file: KeyFile) -> str:
    return key_file.read()[-1].id


def test_answers_on_one_connection_are_whole_and_in_their_order(start: Start) -> None:
    url = start().url
    with closing(connect(url)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = read_all(client)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"200", b"404"]
    assert received.count(b'"request_id"') == 1
    assert received.endswith(b"}")


def test_two_lengths_of_a_body_are_refused(start: Start) -> None:
    url = start().url
    body = b'{"texts": ["a b"]}'
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with closing(connect(url)) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked)
        assert problem(read_all(client)) == (400, "invalid_http")
    with closing(connect(url)) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunked)
        assert read_all(client).startswith(b"HTTP/1.1 200")


def test_trailers_are_no_headers(start: Start, key_file: KeyFile) -> None:
    _, key = key_file.create("a", scopes=("predict",))
    url = start(keys=key_file.path).url
    for where, status in (("", b"401"), (f"Authorization: Bearer {key}\r\n", b"200")):
        trailer = f"Authorization: Bearer {key}\r\n".encode()
        head = HEAD + where.encode() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        with closing(connect(url)) as client:
            client.sendall(head + b'10\r\n{"texts": ["a"]}\r\n0\r\n' + trailer + b"\r\n")
            assert read_all(client).split()[1] == status


def test_trailers_do_not_close_a_connection_and_spaces_count_for_nothing(server: Started) -> None:
    body = b'{"texts": ["a"]}'
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n" + body
    spaced = HEAD + b"Content-Length: 16 \t\r\nConnection: close\r\n\r\n" + body
    with closing(connect(server.url)) as client:
        client.sendall(chunked + b"\r\n0\r\nConnection: close\r\n\r\n" + spaced)
        assert read_all(client).count(b"predictions") == 2


class _Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


def wired(app: ASGIApp) -> tuple[Connection, _Wire]:
    """A connection to `app`, on the running loop."""
    config = Config(app, log_config=None, log_level="critical")
    config.load()
    connection, wire = Connection(config, ServerState(), {}, limits=Limits()), _Wire()
    connection.connection_made(wire)
    return connection, wire


def test_whose_answer_is_under_way_hears_that_the_client_left() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        heard.append((await receive())["type"])

    async def leave() -> None:
        connection, _ = wired(app)
        connection.data_received(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        await asyncio.sleep(0.01)
        connection.connection_lost(ConnectionResetError())
        await asyncio.sleep(0.01)

    asyncio.run(leave())
    assert heard == ["http.request", "http.disconnect"]


def test_a_request_has_one_answer_whatever_comes_of_its_body() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> _Wire:
        connection, wire = wired(refusing)
        connection.data_received(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.01)
        connection.data_received(b"zz\r\n")
        return wire

    wire = asyncio.run(ask())
    assert re.findall(rb"HTTP/1.1 (\d+)", wire.written) == [b"401"]
    assert wire.closed


@pytest.mark.parametrize(("version", "goes_on"), [("1.1", True), ("1.0", False)])
def test_only_new_clients_are_told_to_go_on(version: str, goes_on: bool) -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def ask() -> _Wire:
        connection, wire = wired(reading)
        head = HEAD.replace(b"1.1", version.encode()) + b"Expect: 100-continue \r\n"
        connection.data_received(head + b"Content-Length: 5\r\n\r\n")
        await asyncio.sleep(0.01)
        connection.connection_lost(None)
        await asyncio.sleep(0.01)
        return wire

    assert (b"100 Continue" in asyncio.run(ask()).written) == goes_on


def test_what_came_before_a_fault_is_answered_first(server: Started) -> None:
    body = b'{"texts": ["a b"]}'
    good = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for fault in (b"\x16\x03\x01", b"GET / HTTP/2.0\r\n\r\n", b"\r\n" * 4_000):
        with closing(connect(server.url)) as client:
            client.sendall(good + good + fault)
            received = read_all(client)
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200"]
    # A request whose own body is broken has no answer but that.
    broken = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nxyz\r\n"
    with closing(connect(server.url)) as client:
        client.sendall(broken)
        assert problem(read_all(client)) == (400, "invalid_http")
    with closing(connect(server.url)) as client:
        client.sendall(good + broken)
        assert problem_free(read_all(client))


def problem_free(received: bytes) -> bool:
    """Whether at most the first request was answered, and no fault of a later one in its place."""
    return received == b"" or received.startswith(b"HTTP/1.1 200")


def test_an_upgrade_is_answered_as_if_not_asked_for(server: Started) -> None:
    # As Java's client and `curl --http2` send all that they send first.
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    body = b'{"texts": ["a b"]}'
    post = HEAD + upgrade + b"Content-Length: %d\r\n\r\n" % len(body) + body
    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with closing(connect(server.url)) as client:
        client.sendall(post + get + post)
        client.sendall(last)
        received = read_all(client)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200"] * 4
    assert received.count(b"predictions") == received.count(b"alive") == 2
    closing_too = get.replace(b"Upgrade,", b"close, Upgrade,")
    old = closing_too.replace(b"HTTP/1.1", b"HTTP/1.0")
    for sent in (closing_too, old):
        with closing(connect(server.url)) as client:
            client.sendall(sent + last)
            assert read_all(client).count(b"alive") == 1


def test_what_comes_before_its_turn_is_bounded(start: Start) -> None:
    url = start(limits={"max_body_bytes": 10_000}).url
    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with closing(connect(url)) as client:
        client.sendall(get * 200)
        answered = read_all(client).count(b"alive")
    assert 32 <= answered < 200
    endless = HEAD + b"Content-Length: 9000000\r\n\r\n"
    with closing(connect(url)) as client, pytest.raises(OSError):
        client.sendall(get + endless)
        for _ in range(100):
            client.sendall(b" " * 100_000)
            time.sleep(0.01)
