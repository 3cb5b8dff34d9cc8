"""TLS over real sockets, with certificates that change while the server runs."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tunesmith.errors import ConfigError
from tunesmith.serving.security import PASSWORD_VARIABLE, KeyFile, Tls, TlsFiles
from tunesmith.serving.security._tls import _handshake

from .conftest import Authority, Started

Start = Callable[..., Started]


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


@contextmanager
def connected(url: str, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    address = urlsplit(url).netloc
    with closing(http.client.HTTPSConnection(address, context=context, timeout=20)) as connection:
        yield connection


def subject(connection: http.client.HTTPSConnection) -> str:
    assert isinstance(connection.sock, ssl.SSLSocket)
    certificate = connection.sock.getpeercert()
    assert certificate is not None
    names = {part[0][0]: part[0][1] for part in certificate["subject"]}  # type: ignore[union-attr,index,misc]
    return str(names["commonName"])


def status(connection: http.client.HTTPSConnection, path: str = "/healthz") -> int:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status


def test_serves_over_tls(start: Start, authority: Authority, key_file: KeyFile) -> None:
    _, key = key_file.create("a", scopes=("predict",))
    server = start(tls=authority.issue("server"), keys=key_file.path)
    assert server.url.startswith("https://127.0.0.1:")
    assert server.admin_url.startswith("https://127.0.0.1:")
    with connected(server.url, trusting(authority)) as connection:
        body = json.dumps({"texts": ["hello"]})
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/predict", body, headers)
        response = connection.getresponse()
        assert (response.status, len(json.load(response)["predictions"])) == (200, 1)
        assert response.headers["strict-transport-security"] == "max-age=15552000"
    with connected(server.admin_url, trusting(authority)) as connection:
        assert status(connection, "/metrics") == 401
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        connected(server.url, ssl.create_default_context()) as connection,
    ):
        status(connection)
    old = trusting(authority)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with connected(server.url, old) as connection:
        assert status(connection) == 200
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as plain:
        plain.settimeout(20)
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"alive" not in plain.recv(1_000)
    out, _ = server.stop()
    assert out == "returned\n"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_speaks_nothing_older_than_1_2(authority: Authority) -> None:
    server = Tls(TlsFiles(*authority.issue("server"))).context
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(authority.file)
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        _handshake(client, server)
    assert {cipher["name"][:5] for cipher in server.get_ciphers()} == {"ECDHE", "TLS_A", "TLS_C"}


def test_follows_the_certificate_without_dropping_connections(
    start: Start, authority: Authority
) -> None:
    certificate, key = authority.issue("first")
    server = start(tls=[certificate, key])
    context = trusting(authority)
    statuses: list[int] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            with connected(server.url, context) as connection:
                statuses.append(status(connection))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    with connected(server.url, context) as before:
        assert (status(before), subject(before)) == (200, "first")
        new_certificate, new_key = authority.issue("second")
        certificate.write_bytes(b"half of a fi")
        threading.Event().wait(1.5)
        with connected(server.url, context) as connection:
            assert (status(connection), subject(connection)) == (200, "first")
        new_certificate.replace(certificate)
        new_key.replace(key)
        for _ in range(100):
            threading.Event().wait(0.1)
            with connected(server.url, context) as connection:
                assert status(connection) == 200
                if subject(connection) == "second":
                    break
        else:
            raise AssertionError("never reloaded")
        done.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    _, log = server.stop()
    events = {line["event"] for line in log}
    assert {"tls_reloaded", "tls_unusable"} <= events


def test_clients_may_have_to_show_a_certificate(start: Start, authority: Authority) -> None:
    server = start(tls=[*authority.issue("server"), authority.file])
    with connected(server.url, trusting(authority)) as connection, pytest.raises(OSError):
        status(connection)
    context = trusting(authority)
    context.load_cert_chain(*authority.issue("client", is_client=True))
    with connected(server.url, context) as connection:
        assert status(connection) == 200


def test_a_key_may_have_a_password(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    files = TlsFiles(*authority.issue("server", password="open sesame"))
    with pytest.raises(ConfigError, match=rf"encrypted[\s\S]*{PASSWORD_VARIABLE}"):
        Tls(files)
    monkeypatch.setenv(PASSWORD_VARIABLE, "open sesame")
    assert Tls(files).warnings == []


def test_one_file_may_hold_both(authority: Authority) -> None:
    certificate, key = authority.issue("server")
    both = authority.folder / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    both.chmod(0o600)
    assert Tls(TlsFiles(both)).warnings == []


@pytest.mark.parametrize(
    ("days", "warning"),
    [((-20, -1), "has expired"), ((1, 90), "is not valid yet"), ((-1, 3), "ends on 20")],
)
def test_warns_of_dates(authority: Authority, days: tuple[int, int], warning: str) -> None:
    (found,) = Tls(TlsFiles(*authority.issue("server", days=days))).warnings
    assert warning in found


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_warns_of_a_key_that_all_may_read(authority: Authority) -> None:
    certificate, key = authority.issue("server")
    key.chmod(0o644)
    (warning,) = Tls(TlsFiles(certificate, key)).warnings
    assert f"chmod 600 {key}" in warning


def test_says_what_is_wrong_with_files(authority: Authority) -> None:
    certificate, key = authority.issue("server")
    other, other_key = authority.issue("other")
    no_pem = authority.folder / "no.pem"
    no_pem.write_bytes(b"\x30\x82")
    broken = authority.folder / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = Path("missing.pem")
    for files, message in [
        (TlsFiles(missing, missing), r"--tls-cert missing.pem: no such file\n--tls-key missing"),
        (TlsFiles(authority.folder), "cannot be read|no such file"),
        (TlsFiles(certificate, other_key), "does not belong to the certificate"),
        (TlsFiles(no_pem, key), "holds no certificate in PEM"),
        (TlsFiles(certificate, no_pem), "holds no private key in PEM"),
        (TlsFiles(certificate, other), "holds no private key in PEM"),
        (TlsFiles(broken, key), "cannot be used"),
        (TlsFiles(certificate, key, no_pem), "--tls-client-ca .* holds no certificate"),
        (TlsFiles(certificate, key, broken), "cannot be used as authorities"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Tls(files)


def test_what_cannot_be_used_is_passed_over(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = authority.issue("server")
    tls = Tls(TlsFiles(certificate, key))
    assert not tls.reload()
    content = certificate.read_bytes()
    certificate.unlink()
    assert not tls.reload()
    other, _ = authority.issue("other")
    certificate.write_bytes(other.read_bytes())
    assert not tls.reload()
    assert "event=tls_unusable" in caplog.text
    certificate.write_bytes(content)
    assert tls.reload()
