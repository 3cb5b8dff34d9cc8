"""A registry in a bucket: what is copied, what is refused, and what goes on where it is away."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunesmith.bundles import (
    Bundle,
    MirroredRegistry,
    Registry,
    TrustedKeys,
    make_signing_key,
    open_bundle,
    sign,
)
from tunesmith.errors import InputError, MissingDependencyError
from tunesmith.storage import is_private

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def origin(tmp_path: Path, tiny_bundle: Bundle) -> tuple[Registry, str]:
    """A folder with one model in production."""
    registry = Registry(tmp_path / "origin")
    version = registry.add("tickets", tiny_bundle)
    registry.deploy("tickets", version)
    return registry, version


@pytest.fixture(params=["memory", "file"])
def bucket(request: Any, origin: tuple[Registry, str]) -> Iterator[str]:
    """The same at a URL."""
    folder = origin[0].folder
    if request.param == "file":
        yield f"file://{folder}"
        return
    system = fsspec.filesystem("memory")
    copy(folder, system)
    yield "memory://bucket/models"
    system.rm("/bucket", recursive=True)


def copy(folder: Path, system: Any) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            system.pipe_file(
                f"/bucket/models/{file.relative_to(folder).as_posix()}", file.read_bytes()
            )


def mirror(url: str, tmp_path: Path, **more: Any) -> MirroredRegistry:
    return MirroredRegistry(url, tmp_path / "cache", looks_every_s=0, **more)


def test_what_is_wanted_is_copied_whole(
    bucket: str, origin: tuple[Registry, str], tmp_path: Path, tiny_bundle: Bundle
) -> None:
    found = mirror(bucket, tmp_path)
    assert found.names() == ["tickets"]
    assert found.traffic("tickets") == origin[0].traffic("tickets")
    copied = open_bundle(found.bundle_path("tickets", origin[1]))
    assert copied.manifest == tiny_bundle.manifest
    assert str(found) == bucket


def test_a_change_is_followed_and_versions_are_copied_once(
    origin: tuple[Registry, str], tmp_path: Path, tiny_bundle: Bundle
) -> None:
    registry, first = origin
    found = mirror(f"file://{registry.folder}", tmp_path)
    found.names()
    before = found.bundle_path("tickets", first).stat().st_ino
    work = Path(shutil.copytree(tiny_bundle.path, tmp_path / "work"))
    sealed = tiny_bundle.manifest.model_copy(update={"name": "other"})
    (work / "manifest.json").write_bytes(sealed.sealed(sealed.files).to_bytes())
    second = registry.add("tickets", open_bundle(work))
    wanted = registry.deploy("tickets", second, share=0.5)
    assert found.names() == ["tickets"]
    assert found.traffic("tickets") == wanted
    assert set(found.versions("tickets")) == {first, second}
    assert found.bundle_path("tickets", first).stat().st_ino == before


@pytest.mark.parametrize("fault", ["changed", "missing", "other", "traffic"])
def test_what_is_not_whole_is_tried_again_and_never_named(
    fault: str, origin: tuple[Registry, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry, version = origin
    place = registry.bundle_path("tickets", version)
    config = place / "model/config.json"
    kept = config.read_bytes()
    traffic = registry.folder / "tickets/traffic.json"
    right = traffic.read_bytes()
    if fault == "changed":
        config.write_bytes(b"{}")
    elif fault == "missing":
        config.unlink()
    elif fault == "other":
        wrong = json.loads(right) | {"production": "0" * 12}
        shutil.copytree(place, place.with_name("0" * 12))
        traffic.write_text(json.dumps(wrong))
    else:
        traffic.write_text("{}")
    found = mirror(f"file://{registry.folder}", tmp_path)
    with caplog.at_level(logging.ERROR, "tunesmith.serving"):
        assert found.names() == []
    assert "event=pull_failed model=tickets" in caplog.text
    assert list((tmp_path / "cache").glob("tickets/versions/*")) == []
    config.write_bytes(kept)
    traffic.write_bytes(right)
    assert found.names() == ["tickets"]


def test_what_no_trusted_key_signed_is_not_copied(
    bucket: str, origin: tuple[Registry, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    public, _ = make_signing_key(tmp_path / "release.pem")
    found = mirror(bucket, tmp_path, trusted=TrustedKeys.read(public))
    copied: list[str] = []
    monkeypatch.setattr(MirroredRegistry, "_copy", lambda self, path, *_: copied.append(path))
    assert found.names() == []
    assert copied == []
    monkeypatch.undo()
    registry, version = origin
    bundle = open_bundle(registry.bundle_path("tickets", version))
    sign(bundle.path, bundle.manifest, tmp_path / "release.pem")
    if bucket.startswith("memory"):
        copy(registry.folder, fsspec.filesystem("memory"))
    assert found.names() == ["tickets"]


def test_a_signature_that_comes_later_reaches_the_copy(
    origin: tuple[Registry, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    registry, version = origin
    url = f"file://{registry.folder}"
    public, _ = make_signing_key(tmp_path / "release.pem")
    trusted = TrustedKeys.read(public)
    assert mirror(url, tmp_path).names() == ["tickets"], "nobody asked for a signature then"
    copied: list[str] = []
    monkeypatch.setattr(MirroredRegistry, "_copy", lambda self, path, *_: copied.append(path))
    found = MirroredRegistry(url, tmp_path / "cache", looks_every_s=60, trusted=trusted)
    assert found.names() == []
    bundle = open_bundle(registry.bundle_path("tickets", version))
    sign(bundle.path, bundle.manifest, tmp_path / "release.pem")
    found.pull()
    assert found.names() == ["tickets"], "at once, though it failed before"
    assert open_bundle(found.bundle_path("tickets", version), trusted=trusted)
    assert copied == [], "the rest was here"


@pytest.mark.parametrize("file", ["model/config.json", "manifest.json"])
def test_a_copy_that_was_damaged_is_copied_again(
    origin: tuple[Registry, str], tmp_path: Path, file: str
) -> None:
    url = f"file://{origin[0].folder}"
    place = mirror(url, tmp_path)
    place.names()
    copy = place.bundle_path("tickets", origin[1])
    (copy / file).write_bytes(b"{}")
    assert mirror(url, tmp_path).names() == ["tickets"]
    open_bundle(copy)


def test_a_version_that_fails_is_tried_ever_more_seldom(
    origin: tuple[Registry, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry, version = origin
    place = registry.bundle_path("tickets", version)
    files = sorted(json.loads((place / "manifest.json").read_bytes())["files"])
    (place / files[0]).write_bytes(b"changed")
    now = [1000.0]
    monkeypatch.setattr("tunesmith.bundles._mirror.monotonic", lambda: now[0])
    found = MirroredRegistry(f"file://{registry.folder}", tmp_path / "cache", looks_every_s=5)
    tried: list[float] = []
    real = MirroredRegistry._copy

    def copy_and_note(self: MirroredRegistry, path: str, final: Path, most: int) -> int:
        tried.append(now[0] - 1000)
        return real(self, path, final, most)

    monkeypatch.setattr(MirroredRegistry, "_copy", copy_and_note)
    with caplog.at_level(logging.ERROR, "tunesmith.serving"):
        while now[0] < 5000:
            assert found.names() == []
            now[0] += 5
    waited = [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030, 3630]
    assert tried == waited, "one file each time: the first one is wrong"
    assert f"{files[0]}: was changed or damaged" in caplog.text
    assert "it is tried again in 5 s" in caplog.text


def test_what_the_disk_cannot_hold_is_not_begun(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(MirroredRegistry, "_copy", lambda self, path, *_: copied.append(path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (10_000, 9_000, 1_000))
    with caplog.at_level(logging.ERROR, "tunesmith.serving"):
        assert mirror(bucket, tmp_path).names() == []
    assert copied == []
    assert "the disk is too full" in caplog.text


def test_a_version_that_is_too_large_is_not_copied(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copied: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(MirroredRegistry, "_copy", lambda self, path, *_: copied.append(path))
        with caplog.at_level(logging.ERROR, "tunesmith.serving"):
            assert mirror(bucket, tmp_path, max_version_bytes=1_000).names() == []
    assert copied == []
    assert "and a version may have 0.0 GB → serve --registry-max GB" in caplog.text
    assert mirror(bucket, tmp_path).names() == ["tickets"]


def test_no_more_is_copied_than_a_version_may_have(
    origin: tuple[Registry, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bucket may say what it likes of sizes."""
    registry, version = origin
    place = registry.bundle_path("tickets", version)
    weights = place / "model/model.safetensors"
    most = sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) + 10
    with weights.open("ab") as opened:
        opened.truncate(weights.stat().st_size + 50_000_000)
    system = fsspec.filesystem("file")
    monkeypatch.setattr(type(system), "size", lambda self, path: 1)
    found = mirror(f"file://{registry.folder}", tmp_path, max_version_bytes=most)
    written: list[int] = []
    real = MirroredRegistry._copy

    def copy_and_note(self: MirroredRegistry, path: str, final: Path, most: int) -> int:
        num = real(self, path, final, most)
        written.append(final.stat().st_size)
        return num

    monkeypatch.setattr(MirroredRegistry, "_copy", copy_and_note)
    with caplog.at_level(logging.ERROR, "tunesmith.serving"):
        assert found.names() == []
    assert "has more than it says, in model/model.safetensors" in caplog.text
    assert sum(written) <= most + 4 * 1024 * 1024
    assert list((tmp_path / "cache").glob("tickets/versions/*")) == []


def test_copies_lie_in_a_private_folder_of_the_users_cache(
    origin: tuple[Registry, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "own"))
    folder = MirroredRegistry(f"file://{origin[0].folder}").folder
    assert folder.parent == tmp_path / "own/registries"
    assert is_private(folder)


def test_a_manifest_that_points_out_of_the_bundle_is_refused(
    origin: tuple[Registry, str], tmp_path: Path, tiny_bundle: Bundle
) -> None:
    registry, _ = origin
    sealed = tiny_bundle.manifest.sealed({"../../../../escaped": "0" * 64})
    place = registry.folder / "tickets/versions" / sealed.digest[:12]
    place.mkdir()
    (place / "manifest.json").write_bytes(sealed.to_bytes())
    (registry.folder.parent / "escaped").write_text("x")
    traffic = registry.folder / "tickets/traffic.json"
    wanted = json.loads(traffic.read_bytes()) | {"production": sealed.digest[:12]}
    traffic.write_text(json.dumps(wanted))
    found = mirror(f"file://{registry.folder}", tmp_path)
    assert found.names() == []
    assert not list((tmp_path / "cache").rglob("escaped"))


@pytest.mark.parametrize("version", ["../../../x", "..", ".", "", "{cache}", "0123456789ab\n"])
@pytest.mark.parametrize("role", ["production", "canary", "shadow"])
def test_versions_that_are_no_versions_lead_nowhere(
    origin: tuple[Registry, str], tmp_path: Path, version: str, role: str, caplog: Any
) -> None:
    registry, good = origin
    named = version.format(cache=tmp_path)  # an absolute path, of a folder that is there
    value = {"version": named, "share": 0.5} if role == "canary" else named
    content = json.dumps({"change": 1, "production": good, role: value})
    (registry.folder / "tickets/traffic.json").write_text(content)
    before = set(tmp_path.rglob("*"))
    with caplog.at_level(logging.ERROR, "tunesmith.serving"):
        assert mirror(f"file://{registry.folder}", tmp_path).names() == []
    assert "is not what Tunesmith writes" in caplog.text
    assert set(tmp_path.rglob("*")) == before


def test_it_goes_on_where_the_bucket_is_away(
    origin: tuple[Registry, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = origin[0].folder
    url = f"file://{folder}"
    assert mirror(url, tmp_path).names() == ["tickets"]
    folder.rename(folder.with_name("away"))
    again = mirror(url, tmp_path)  # as after a restart
    with caplog.at_level(logging.ERROR, "tunesmith.serving"):
        assert again.names() == ["tickets"]
    assert "event=registry_unreadable" in caplog.text
    assert open_bundle(again.bundle_path("tickets", origin[1]))


def test_the_bucket_is_not_asked_all_the_time(
    origin: tuple[Registry, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = MirroredRegistry(f"file://{origin[0].folder}", tmp_path / "cache", looks_every_s=60)
    pulled: list[int] = []
    monkeypatch.setattr(MirroredRegistry, "pull", lambda self: pulled.append(1))
    for _ in range(5):
        found.names()
    assert pulled == [1]


def test_addresses_that_cannot_be() -> None:
    with pytest.raises(InputError, match="fsspec knows"):
        MirroredRegistry("nosuch://bucket/models")
    with pytest.raises(InputError, match="is no URL"):
        MirroredRegistry("folder")
    with pytest.raises(InputError, match="followed in a bucket"):
        Registry(Path("s3://bucket/models"))
    for scheme, package in (("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")):
        if not _is_there(package):
            with pytest.raises(MissingDependencyError, match=package):
                MirroredRegistry(f"{scheme}://bucket/models")


def _is_there(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None
