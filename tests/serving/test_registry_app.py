"""A server of a registry over HTTP: swaps under load, a kill in the middle, and several models."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from tunesmith.bundles import Bundle
from tunesmith.serving import Guards, create_registry_app

from .test_deployments import Versions

HOSTS = ("127.0.0.1", "testserver")


@pytest.fixture
def versions(tmp_path: Path, tiny_bundle: Bundle) -> Versions:
    return Versions(tmp_path / "registry", tiny_bundle)


def wait_for(client: TestClient, version: str) -> None:
    for _ in range(2_000):
        served = client.get("/v1/info")
        if served.status_code == 200 and served.json()["model"]["version"] == version:
            return
        time.sleep(0.01)
    raise AssertionError(f"{version} never answered")


def test_models_come_and_change_without_a_restart(versions: Versions) -> None:
    app = create_registry_app(versions.registry, guards=Guards(None, HOSTS), load=versions.load)
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/v1/models").json()["data"] == []
        refused = client.post("/v1/predict", json={"texts": ["a"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        first = versions.add("first")
        versions.registry.deploy("tickets", first)
        wait_for(client, first)
        assert client.get("/readyz").status_code == 200
        second = versions.add("second")
        versions.registry.deploy("tickets", second)
        wait_for(client, second)
        answer = client.post("/v1/predict", json={"texts": ["a"], "model": "tickets"}).json()
        assert answer["model"] == {"name": "tickets", "version": second}
        body = {"texts": ["a"], "model": "tickets", "version": "0" * 12}
        assert client.post("/v1/predict", json=body).status_code == 404
        versions.registry.deploy("tickets", first, share=0.5)
        for _ in range(2_000):
            if len(client.get("/v2/models/tickets").json()["versions"]) == 2:
                break
            time.sleep(0.01)
        body["version"] = first
        assert client.post("/v1/predict", json=body).json()["model"]["version"] == first
        seen = Counter(client.post("/predict", json={"inputs": "a"}).status_code for _ in range(20))
        assert seen == {200: 20}


@contextmanager
def serving(registry: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "tunesmith", "serve", "--registry", str(registry)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, "--no-auth", "--port", "0", "--json", "--log-format", "off"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            yield process, json.loads(line)["url"]
        finally:
            process.kill()


def ask(url: str, path: str = "/v1/predict", body: object = None) -> tuple[int, dict[str, object]]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        if body is None:
            connection.request("GET", path)
        else:
            headers = {"content-type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def until(url: str, version: str) -> None:
    for _ in range(600):
        status, found = ask(url, "/v1/info")
        if status == 200 and found["model"]["version"] == version:  # type: ignore[index]
            return
        time.sleep(0.1)
    raise AssertionError(f"{version} never answered")


@pytest.mark.slow
def test_a_hundred_swaps_and_twenty_roll_backs_of_real_models_fail_no_request(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    versions = Versions(tmp_path / "registry", tiny_bundle)
    first, second = versions.add("first"), versions.add("second")
    registry = versions.registry
    registry.deploy("tickets", first)
    answered: Counter[tuple[int, str]] = Counter()
    stop = threading.Event()

    def client(url: str) -> None:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
            while not stop.is_set():
                body = json.dumps({"texts": ["where is my parcel"]})
                headers = {"content-type": "application/json"}
                connection.request("POST", "/v1/predict", body, headers)
                response = connection.getresponse()
                found = json.loads(response.read())
                version = found["model"]["version"] if response.status == 200 else str(found)
                answered[response.status, version] += 1

    with serving(registry.folder, tmp_path / "log") as (_, url):
        until(url, first)
        clients = [threading.Thread(target=client, args=(url,)) for _ in range(4)]
        for one in clients:
            one.start()
        for turn in range(120):
            now = registry.traffic("tickets")
            assert now is not None
            if turn % 6 == 5:
                wanted = registry.roll_back("tickets")
            else:
                wanted = registry.deploy("tickets", second if now.production == first else first)
            for _ in range(1_200):
                status = registry.status("tickets")
                if status.tried >= wanted.change:
                    break
                time.sleep(0.05)
            assert (status.tried, status.fault) == (wanted.change, "")
            assert ask(url, "/v1/info")[1]["model"]["version"] == wanted.production  # type: ignore[index]
        stop.set()
        for one in clients:
            one.join(60)
    assert set(answered) == {(200, first), (200, second)}


@pytest.mark.slow
def test_killed_in_the_middle_of_a_deploy_the_old_version_serves_again(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    versions = Versions(tmp_path / "registry", tiny_bundle)
    old, new = versions.add("old"), versions.add("new")
    registry = versions.registry
    registry.deploy("tickets", old)
    with serving(registry.folder, tmp_path / "log") as (process, url):
        until(url, old)
        wanted = registry.deploy("tickets", new)
        time.sleep(0.5)  # it looks twice a second, and loading takes a while
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    status = registry.status("tickets")
    assert status.serving is not None
    assert status.serving.production == old, "the switch was through before the kill"
    # Whatever becomes of the new version now, the old one answers at once.
    weights = registry.bundle_path("tickets", new) / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with serving(registry.folder, tmp_path / "log") as (_, url):
        until(url, old)
        assert ask(url, body={"texts": ["a"]})[0] == 200
        for _ in range(600):
            if registry.status("tickets").tried >= wanted.change:
                break
            time.sleep(0.1)
        assert "changed or damaged" in registry.status("tickets").fault
        assert ask(url, "/v1/info")[1]["model"]["version"] == old  # type: ignore[index]
