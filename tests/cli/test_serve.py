"""`tunesmith serve`, `tunesmith demo` and `tunesmith.serve`."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Invoke


@pytest.fixture(autouse=True)
def _no_keys(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_KEYS", str(tmp_path_factory.mktemp("keys") / "none.json"))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_serve_answers_and_stops(command: list[str], small: Path) -> None:
    with subprocess.Popen(
        [*command, "serve", str(small / "run"), "--port", "0", "--cache", "10", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What is printed must come through a pipe although the server goes on.
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""},
    ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            request = urllib.request.Request(
                f"{ready['url']}/v1/predict",
                json.dumps({"texts": ["where is it", "b"]}).encode(),
                {
                    "content-type": "application/json",
                    "authorization": f"Bearer {ready['key']}",
                },
            )
            words = shlex.split(ready["curl"])
            with urllib.request.urlopen(request, timeout=60) as answer:
                predictions = json.load(answer)["predictions"]
            with urllib.request.urlopen(request, timeout=60) as answer:
                again = json.load(answer)["predictions"], answer.headers["cache-status"]
            request.full_url = f"{ready['url']}/v1/explain"
            with urllib.request.urlopen(request, timeout=60) as answer:
                explained = json.load(answer)["explanations"]
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert len(predictions) == 2
    assert again == (predictions, "tunesmith; hit")
    for one, prediction in zip(explained, predictions, strict=True):
        assert one["label"] == prediction["label"]
        assert one["probability"] == pytest.approx(prediction["probability"], abs=1e-4)
    assert [word["text"] for word in explained[0]["words"]] == ["where", "is", "it"]
    assert words[:2] == ["curl", f"{ready['url']}/v1/predict"]
    assert words[3] == f"authorization: Bearer {ready['key']}"
    assert ready["page"].startswith(f"{ready['url']}/login#")
    assert "event=request method=POST route=/v1/predict status=200" in err
    assert ready["key"] not in err
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_the_python_api_tells_the_port_that_it_got(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tunesmith

    monkeypatch.setattr("uvicorn.Server.main_loop", _no_loop)
    tunesmith.serve(small / "run", port=0)
    said = capsys.readouterr().out
    port = re.fullmatch(
        r"http://127\.0\.0\.1:(\d+)/login#\S+\nAuthorization: Bearer tsk_\S+\n", said
    )
    assert port is not None
    assert int(port[1]) > 0
    tunesmith.serve(small / "run", port=0, no_auth=True)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", capsys.readouterr().out)


async def _no_loop(server: object) -> None: ...


@pytest.mark.parametrize("option", [("--cache", "-1"), ("--otlp", "localhost:4318")])
def test_wrong_options(invoke: Invoke, small: Path, option: tuple[str, str]) -> None:
    result = invoke("serve", small / "run", "--port", 0, *option)
    assert result.code == 2
    assert option[0] in result.err


def test_a_port_in_use(invoke: Invoke, small: Path, taken: int) -> None:
    result = invoke("serve", small / "run", "--port", taken)
    assert result.code == 2
    assert f"--port {taken}: the port is in use" in result.err
    assert not result.out


def test_beyond_loopback(invoke: Invoke, small: Path) -> None:
    result = invoke("serve", small / "run", "--host", "0.0.0.0")
    assert (result.code, "needs --insecure" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--no-auth", "--host", "0.0.0.0", "--insecure"), "wants a key from everyone"),
        (("--tls-key", "a.pem"), "--tls-key: has no use without a certificate"),
        (("--tls-cert", "a.pem"), "--tls-cert a.pem: no such file"),
        (("--keys", "a.json"), "--keys a.json: no such key file"),
        (("--trusted-proxy", "proxy"), "--trusted-proxy: 'proxy'"),
        (("--log-format", "off", "--log-texts"), "nothing is logged"),
        (("--log-file", "no/such/folder/log"), "--log-file"),
    ],
)
def test_bad_options(invoke: Invoke, small: Path, options: tuple[str, ...], message: str) -> None:
    result = invoke("serve", small / "run", "--port", 0, *options)
    assert (result.code, message in result.err) == (2, True), result.err
    assert not result.out


def test_with_a_key_file_no_key_is_shown(
    invoke: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.main_loop", _no_loop)
    assert invoke("keys", "create", "--name", "a", "--keys", "keys.json").code == 0
    result = invoke("serve", small / "run", "--port", 0, "--keys", "keys.json", "--admin-port", 0)
    assert result.code == 0, result.err
    assert re.search(r"^page  http://127\.0\.0\.1:\d+/$", result.out, re.MULTILINE)
    assert re.search(r"^admin http://127\.0\.0\.1:\d+/metrics$", result.out, re.MULTILINE)
    assert '-H "authorization: Bearer $TUNESMITH_KEY"' in result.out
    assert "tsk_" not in result.out + result.err


def test_demo_looks_at_the_port_first(invoke: Invoke, taken: int, tmp_path: Path) -> None:
    result = invoke("demo", "--port", taken, "--output", "run")
    assert (result.code, "the port is in use" in result.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_demo_of_an_unknown_sample(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("demo", "--sample", "tickets", "--no-serve")
    assert result.code == 2
    assert "support_tickets, medical_triage, finance_sentiment" in result.err
    assert not list(tmp_path.iterdir())


def test_demo_serves_what_it_trained(
    invoke: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith import config, recipes

    def quick(name: str, *, output: str, listener: recipes.Listener) -> recipes.Run:
        assert name == "medical_triage"
        settings = {
            "data.source": str(small / "topics.csv"),
            "base.id": str(small / "base"),
            "training.method": "probe",
            "training.precision": "fp32",
            "evaluation.resamples": 100,
            "output": output,
        }
        return recipes.train(config.load(settings=settings), listener)

    monkeypatch.setattr(recipes, "demo", quick)
    monkeypatch.setattr("uvicorn.Server.main_loop", _no_loop)
    result = invoke("demo", "--sample", "medical_triage", "--output", "run", "--port", 0)
    assert result.code == 0, result.err
    assert re.search(r"^page  http://127\.0\.0\.1:\d+/login#", result.out, re.MULTILINE)
    assert re.search(r"^try   curl http://.*slurred", result.out, re.MULTILINE)
