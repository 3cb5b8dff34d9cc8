"""A bundle's folder in, a server out; and the command that asks it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tunesmith.bundles import Bundle, make_signing_key, open_bundle, sign
from tunesmith.errors import BundleError, ConfigError, InputError, OutputError
from tunesmith.serving import Security, Serving, _serve, curl_line, serve
from tunesmith.serving.security import TlsFiles

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


def test_serves_what_the_manifest_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = HashRuntime()
    base = SimpleNamespace(model_dump=lambda: {"id": "tiny"})
    manifest = SimpleNamespace(
        name="Tickets", base=base, created="2026-11-23", metrics={"accuracy": 0.9}
    )
    served: list[FastAPI] = []
    ready: list[Serving] = []

    def run(app: FastAPI, *, host: str, port: int, on_ready: object, **_: object) -> None:
        served.append(app)
        on_ready(f"http://{host}:{port}")  # type: ignore[operator]

    monkeypatch.setenv("TUNESMITH_KEYS", str(tmp_path / "none.json"))
    monkeypatch.setattr(
        _serve, "open_bundle", lambda folder, **_: SimpleNamespace(manifest=manifest)
    )
    monkeypatch.setattr(_serve, "load", lambda *_, **__: runtime)
    monkeypatch.setattr(_serve, "run", run)
    serve("bundle", port=0, on_ready=ready.append)
    (found,) = ready
    assert (found.url, found.version, found.has_keys) == (
        "http://127.0.0.1:0",
        runtime.version,
        True,
    )
    assert found.page.startswith("http://127.0.0.1:0/login#")
    client = TestClient(served[0], base_url="http://127.0.0.1")
    assert client.get("/v1/info").status_code == 401
    client.headers["authorization"] = f"Bearer {found.key}"
    info = client.get("/v1/info").json()
    assert info["details"]["base"] == {"id": "tiny"}
    assert client.get("/healthz", headers={"host": "testserver"}).status_code == 403


def test_the_command_sends_a_key_or_what_a_variable_holds() -> None:
    with_key = shlex.split(curl_line("http://localhost", ONE_LABEL, "a", "tsk_1"))
    assert with_key[2:4] == ["-H", "authorization: Bearer tsk_1"]
    assert '-H "authorization: Bearer $TUNESMITH_KEY"' in curl_line("http://a", ONE_LABEL, "a", "")


@pytest.mark.parametrize(
    ("security", "host", "message"),
    [
        (Security(no_auth=True), "0.0.0.0", "wants a key from everyone"),
        (Security(no_auth=True, insecure=True), "0.0.0.0", "wants a key from everyone"),
        (
            Security(no_auth=True, admin_port=0, admin_host="0.0.0.0", insecure=True),
            "127.0.0.1",
            "--admin-host 0.0.0.0",
        ),
        (Security(admin_port=0, admin_host="0.0.0.0"), "127.0.0.1", "needs --insecure"),
        (Security(keys=Path("no.json")), "127.0.0.1", r"no such key file[\s\S]*keys create"),
        (Security(keys=Path("a"), no_auth=True), "127.0.0.1", "no use without keys"),
        (Security(trusted_proxies=("10.0.0.1/8",)), "127.0.0.1", "--trusted-proxy: .*host bits"),
        (Security(log_texts=True), "127.0.0.1", "nothing is logged"),
        (Security(tls=TlsFiles(Path("no.pem"))), "127.0.0.1", "--tls-cert no.pem: no such file"),
    ],
)
def test_says_what_cannot_be_before_the_bundle_is_opened(
    security: Security, host: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        serve("/no/such/bundle", host=host, port=0, security=security)
    assert caught.value.exit_code == 2


def test_nothing_is_loaded_that_no_trusted_key_signed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_bundle: Bundle
) -> None:
    pytest.importorskip("cryptography")
    copy = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    public, _ = make_signing_key(tmp_path / "release.pem")
    make_signing_key(tmp_path / "other.pem")
    loaded: list[Bundle] = []
    monkeypatch.setenv("TUNESMITH_KEYS", str(tmp_path / "none.json"))
    monkeypatch.setattr(_serve, "load", lambda bundle, *_, **__: loaded.append(bundle) or 1 / 0)
    sources = (copy, open_bundle(copy))  # opened by others: still looked at
    for source in sources:
        with pytest.raises(BundleError, match="is not signed"):
            serve(source, port=0, trusted_keys=public)
    sign(copy, sources[1].manifest, tmp_path / "other.pem")
    with pytest.raises(BundleError, match="by none of the trusted keys"):
        serve(copy, port=0, trusted_keys=public)
    with pytest.raises(ConfigError, match="cannot be read"):
        serve(copy, port=0, trusted_keys=tmp_path / "none.pem")
    assert loaded == []
    sign(copy, sources[1].manifest, tmp_path / "release.pem")
    with pytest.raises(ZeroDivisionError):
        serve(copy, port=0, trusted_keys=public)
    assert [bundle.path for bundle in loaded] == [copy]
