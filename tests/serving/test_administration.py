"""The admin listener's deployments: as the commands, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunesmith.bundles import Bundle, MirroredRegistry
from tunesmith.serving import Guards, create_registry_app
from tunesmith.serving.app import create_admin_app
from tunesmith.serving.security import Access, KeyFile

from .hash_runtime import HashRuntime, make_app
from .test_deployments import Versions

HOSTS = ("127.0.0.1", "testserver")
ROUTE = "/v1/deployments/tickets"


@pytest.fixture
def versions(tmp_path: Path, tiny_bundle: Bundle) -> Versions:
    return Versions(tmp_path / "registry", tiny_bundle)


@pytest.fixture
def admin(versions: Versions) -> Iterator[TestClient]:
    """Of a server that follows; the first version answers."""
    versions.registry.deploy("tickets", versions.add("first"))
    guards = Guards(None, HOSTS)
    app = create_registry_app(versions.registry, guards=guards, load=versions.load)
    with TestClient(app):
        client = TestClient(create_admin_app(app, guards=guards))
        until(client, lambda found: found["serving"] is not None)
        yield client


def until(client: TestClient, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    for _ in range(2_000):
        found: dict[str, Any] = client.get(ROUTE).json()
        if is_so(found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"it never was so: {found}")


def test_tries_promotes_and_goes_back(admin: TestClient, versions: Versions) -> None:
    [first] = versions.registry.versions("tickets")
    second = versions.add("second")
    tried = admin.post(ROUTE, json={"version": second, "canary": 0.25})
    assert tried.status_code == 202
    assert tried.json()["wanted"]["canary"] == {"version": second, "share": 0.25}
    until(admin, lambda found: found["serving"]["canary"] is not None)
    assert admin.post(f"{ROUTE}/promote").json()["wanted"]["production"] == second
    until(admin, lambda found: found["serving"]["production"] == second)
    assert admin.post(f"{ROUTE}/roll-back").status_code == 202
    found = until(admin, lambda found: found["serving"]["production"] == first)
    assert (found["fault"], set(found["versions"])) == ("", {first, second})
    assert admin.get("/v1/deployments").json() == [found]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("", {"version": "0" * 12}, 422, "has no version"),
        ("", {"version": "../../etc"}, 422, "version"),
        ("", {"version": "0" * 12, "canary": 1.0}, 422, "canary"),
        ("", {"version": "0" * 12, "canary": 0.1, "shadow": True}, 422, "two ways"),
        ("", {"version": "0" * 12, "cnary": 0.1}, 422, "cnary"),
        ("/promote", None, 422, "no version is tried"),
        ("/roll-back", None, 422, "no version to go back to"),
    ],
)
def test_what_cannot_be_wanted_changes_nothing(
    admin: TestClient, path: str, body: object, status: int, words: str
) -> None:
    before = admin.get(ROUTE).json()
    refused = admin.post(ROUTE + path, json=body)
    assert refused.status_code == status
    assert words in refused.json()["error"]["message"]
    assert admin.get(ROUTE).json() == before


@pytest.mark.parametrize("name", ["parcels", "..", "%2e%2e"])
def test_a_model_that_there_is_not(admin: TestClient, name: str) -> None:
    for answer in (
        admin.get(f"/v1/deployments/{name}"),
        admin.post(f"/v1/deployments/{name}/promote"),
        admin.post(f"/v1/deployments/{name}", json={"version": "0" * 12}),
    ):
        assert answer.status_code in {404, 405}


def test_a_spoilt_file_hides_no_other_model(admin: TestClient, versions: Versions) -> None:
    folder = versions.registry.folder / "spoilt"
    folder.mkdir()
    (folder / "traffic.json").write_text("{}")
    found = {one["name"]: one for one in admin.get("/v1/deployments").json()}
    assert found["tickets"]["fault"] == ""
    assert "not what Tunesmith writes" in found["spoilt"]["fault"]
    assert admin.get("/v1/deployments/spoilt").status_code == 422


def test_a_registry_in_a_bucket_is_changed_elsewhere(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    versions.registry.deploy("tickets", versions.add("first"))
    bucket = f"file://{versions.registry.folder}"
    mirror = MirroredRegistry(bucket, tmp_path / "copies", looks_every_s=0.01)
    guards = Guards(None, HOSTS)
    app = create_registry_app(mirror, guards=guards, load=versions.load)
    with TestClient(app):
        client = TestClient(create_admin_app(app, guards=guards))
        found = until(client, lambda found: found.get("serving") is not None)
        refused = client.post(f"{ROUTE}/promote")
        assert refused.status_code == 422
        assert "changed where it is made" in refused.json()["error"]["message"]
    monkeypatch.setattr(mirror, "pull", None)  # asking looks into no bucket
    monkeypatch.setattr(mirror, "_looks_every_s", 0.0)
    assert client.get("/v1/deployments").json() == [found]


def test_only_admins(versions: Versions, tmp_path: Path) -> None:
    versions.registry.deploy("tickets", versions.add("first"))
    file = KeyFile(tmp_path / "keys.json")
    keys = {
        scope: file.create(scope, scopes=(scope,))[1]  # type: ignore[arg-type]
        for scope in ("admin", "metrics", "predict")
    }
    guards = Guards(Access(file), HOSTS)
    app = create_registry_app(versions.registry, guards=guards, load=versions.load)
    with TestClient(app):
        client = TestClient(create_admin_app(app, guards=guards))
        statuses = {
            scope: client.post(f"{ROUTE}/promote", headers={"x-api-key": key}).status_code
            for scope, key in keys.items()
        }
        assert statuses == {"admin": 422, "metrics": 403, "predict": 403}
        assert client.get("/v1/deployments").status_code == 401


def test_a_single_bundle_has_no_deployments() -> None:
    app = make_app(HashRuntime())
    with TestClient(app):
        admin = TestClient(create_admin_app(app, guards=Guards(None, HOSTS)))
        assert admin.get("/v1/deployments").status_code == 404
