"""The image: what is linted, what is pinned, who runs it, and how it says that it is alive."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from .manifests import DEPLOY, ROOT, check_arguments, open_routes, tool

FILE = DEPLOY / "docker" / "Dockerfile"
HEALTH = DEPLOY / "docker" / "health.py"


class Step(NamedTuple):
    """An instruction, with the name of its stage."""

    stage: str
    name: str
    words: str


def steps() -> list[Step]:
    lines = [line for line in FILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found, stage = [], ""
    for line in filter(None, joined.splitlines()):
        name, _, words = line.partition(" ")
        if name == "FROM":
            stage = words.partition(" AS ")[2] or "default"
        found.append(Step(stage, name, words.strip()))
    return found


def words(stage: str, name: str) -> list[str]:
    return [step.words for step in steps() if (step.stage, step.name) == (stage, name)]


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([tool("hadolint"), str(FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bases_are_pinned() -> None:
    defaults = dict(step.words.split("=", 1) for step in steps() if step.name == "ARG")
    stages = {step.stage for step in steps()}
    for step in steps():
        if step.name == "FROM":
            base = step.words.partition(" AS ")[0]
            base = re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], base)
            assert base in stages | {"scratch"} or re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_nothing_is_fetched_but_locked_packages() -> None:
    assert not [step for step in steps() if step.name == "ADD"]
    for step in steps():
        assert not re.search(r"curl|wget|apt|https?://", step.words), step
        for command in re.findall(r"pip [^&]*\binstall\b[^&]*", step.words):
            assert "--constraint" in command or "--no-deps" in command, command


@pytest.mark.parametrize("extras", ["", "sign", "sign grpc otel", "nonsense"])
def test_extras_are_installed_by_their_locks(extras: str, tmp_path: Path) -> None:
    """The step itself, by a shell, with a `pip` that writes down what it is asked for."""
    (step,) = (step.words for step in steps() if step.name == "RUN" and "serve" in step.words)
    (tmp_path / "bin").mkdir()
    for name in ("pip", "python"):
        (tmp_path / "bin" / name).write_text(
            f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/asked\n'
            'for last; do :; done; case "$last" in *.lock) test -f "$last";; esac\n'
        )
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", step],
        cwd=ROOT,
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "EXTRAS": extras},
        capture_output=True,
        text=True,
    )
    asked = re.findall(r"--requirement requirements/(\S+)\.lock", (tmp_path / "asked").read_text())
    assert asked == ["serve", *(f"serve-{extra}" for extra in extras.split())]
    assert (done.returncode == 0) == (extras != "nonsense"), done.stderr


def test_the_server_is_a_user_with_a_number_and_needs_no_shell() -> None:
    (user,) = words("server", "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    order = [step.name for step in steps() if step.stage == "server"]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert "RUN" not in order
    assert not words("model", "USER") + words("default", "USER")
    assert json.loads(words("server", "ENTRYPOINT")[0]) == ["tunesmith", "serve"]
    probe = words("server", "HEALTHCHECK")[0].partition(" CMD ")[2]
    assert json.loads(probe)[-1] == "/opt/tunesmith/health.py"


def test_what_it_runs_by_itself_is_safe() -> None:
    mounted = {"/bundle": True, "/keys": True, "/tls": True}
    found = check_arguments(json.loads(words("server", "CMD")[0]), mounted)
    assert not found["insecure"]
    assert words("server", "EXPOSE") == [str(found["port"])]


def test_what_is_built_by_default_holds_no_bundle() -> None:
    assert steps()[-1] == Step("default", "FROM", "server")


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert all((ROOT / path).exists() for path in let_in)
    for step in steps():
        if step.name == "COPY" and "--from" not in step.words:
            for source in step.words.split()[:-1]:
                assert any(Path(path).is_relative_to(source) for path in let_in), source


def test_its_version_is_the_package_s() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"VERSION={version}" in words("server", "ARG")


@pytest.fixture
def answering() -> Iterator[tuple[str, list[str]]]:
    """A server that is alive at /healthz alone, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/healthz" else 503)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def health(url: str) -> subprocess.CompletedProcess[str]:
    environment = {"TUNESMITH_HEALTH_URL": url, "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-I", "-S", str(HEALTH)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


def test_health(answering: tuple[str, list[str]]) -> None:
    url, asked = answering
    assert health(f"{url}/healthz").returncode == 0
    busy = health(f"{url}/readyz")
    assert (busy.returncode, "503" in busy.stderr) == (1, True)
    assert asked == ["/healthz", "/readyz"]


def test_health_without_a_server() -> None:
    for url in ("http://127.0.0.1:9/healthz", "nonsense"):
        done = health(url)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_health_asks_what_is_open_and_where_the_server_listens() -> None:
    arguments = json.loads(words("server", "CMD")[0])
    port = arguments[arguments.index("--port") + 1]
    (url,) = re.findall(r'^URL = "(.*)"$', HEALTH.read_text(), re.MULTILINE)
    assert url == f"https://127.0.0.1:{port}/healthz"
    assert "/healthz" in open_routes()
