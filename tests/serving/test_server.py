"""Addresses, and a real server: its start, its stop, and what a client sees in between."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tunesmith.errors import OutputError
from tunesmith.serving import LOOPBACK_HOSTS, allowed_hosts, check_address, run

from .hash_runtime import HashRuntime, make_app
from .programs import running

PROGRAM = """
import sys, time
from serving.hash_runtime import HashRuntime
from tunesmith.serving import Guards, create_app, run
class Slow(HashRuntime):
    def run(self, rows, *, beside=False):
        if "slow" in str(rows[0][0].inputs):
            time.sleep(1)
        return super().run(rows, beside=beside)
run(create_app(Slow(), name="Tickets", guards=Guards(None)), host="127.0.0.1", port=0,
    on_ready=lambda url: print(url, flush=True))
print("returned", flush=True)
"""


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with running(PROGRAM, "-W", "error") as (process, (url,)):
        yield process, url


def ask(url: str, text: str) -> tuple[int, dict[str, object]]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)) as connection:
        body = json.dumps({"texts": [text]})
        connection.request("POST", "/v1/predict", body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def raw(url: str, *parts: bytes) -> bytes:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        for part in parts:
            client.sendall(part)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while block := client.recv(65_536):
            received += block
    return received


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_answers_what_has_come_in_and_returns(
    server: tuple[subprocess.Popen[str], str], stop: signal.Signals
) -> None:
    process, url = server
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(ask(url, "slow one")[0]))
    client.start()
    threading.Event().wait(0.3)
    process.send_signal(stop)
    client.join()
    output, errors = process.communicate(timeout=20)
    assert answers == [200]
    assert (process.returncode, output, errors) == (0, "returned\n", "")


def test_a_real_server_survives_broken_clients(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = server
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    raw(url, head, b'Content-Length: 500\r\n\r\n{"texts"')
    assert b" 400 " in raw(url, head, b"Content-Length: ten\r\n\r\n{}")
    assert b" 413 " in raw(url, head, b"Content-Length: 99999999999\r\n\r\n{}")
    raw(url, head, b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\r\n")
    assert b" 403 " in raw(
        url, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    status, answer = ask(url, "still there?")
    assert status == 200
    assert answer["model"] == {"name": "Tickets", "version": "0123456789ab"}
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors


def test_many_clients_at_once(server: tuple[subprocess.Popen[str], str]) -> None:
    _, url = server
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ask(url, "hello")[0])) for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30


def test_tells_that_a_port_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=r"the port is in use[\s\S]*--port 0"):
            check_address("127.0.0.1", port)
        with pytest.raises(OutputError, match="the port is in use"):
            run(make_app(HashRuntime()), host="127.0.0.1", port=port)
    check_address("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])
def test_stays_on_loopback_unless_told_otherwise(host: str) -> None:
    with pytest.raises(OutputError, match=r"beyond loopback without TLS needs --insecure"):
        check_address(host, 0)


def test_goes_beyond_loopback_when_told_so() -> None:
    check_address("0.0.0.0", 0, insecure=True)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("127.0.0.1", 65_536, "a port is a number from 0 to 65535"),
        ("127.0.0.1", -1, "a port is a number from 0 to 65535"),
        ("no-such-host.invalid", 8_000, "no such host"),
        ("a" * 300, 8_000, "no such host"),
        ("192.0.2.1", 8_000, "not an address of this machine"),
    ],
)
def test_says_what_is_wrong_with_an_address(host: str, port: int, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        check_address(host, port, insecure=True)


def test_says_that_a_port_is_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(OutputError, match=r"may not listen on the port[\s\S]*--port 8000"):
        check_address("127.0.0.1", 80)


def test_hosts_that_a_server_answers_to() -> None:
    assert allowed_hosts("127.0.0.1") == (*LOOPBACK_HOSTS, "127.0.0.1")
    assert allowed_hosts("127.0.0.9") == (*LOOPBACK_HOSTS, "127.0.0.9")
    assert allowed_hosts("0.0.0.0") is None
