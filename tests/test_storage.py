"""Files and folders are whole or absent, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from tunesmith import storage
from tunesmith.errors import OutputError


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    final = tmp_path / "a" / "b"
    with storage.new_folder(final) as temporary:
        (temporary / "file").write_text("content")
        assert not final.exists()
    assert (final / "file").read_text() == "content"
    assert [path.name for path in final.parent.iterdir()] == ["b"]


def test_an_empty_folder_is_taken_over(tmp_path: Path) -> None:
    final = tmp_path / "empty"
    final.mkdir()
    with storage.new_folder(final) as temporary:
        (temporary / "file").touch()
    assert (final / "file").exists()


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), OutputError),
        (OSError(errno.EROFS, "Read-only file system"), OutputError),
        (PermissionError(errno.EACCES, "Permission denied"), OutputError),
        (SafetensorError("I/O error: No space left on device (os error 28)"), OutputError),
        (SafetensorError("the header is too large"), SafetensorError),
        (ConnectionResetError(errno.ECONNRESET, "reset"), ConnectionResetError),
        (ValueError("a bug"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_inside_leaves_nothing(
    tmp_path: Path, failure: BaseException, raised: type[BaseException]
) -> None:
    def fail() -> None:
        with storage.new_folder(tmp_path / "final") as temporary:
            (temporary / "half").write_text("written")
            raise failure

    with pytest.raises(raised) as caught:
        fail()
    assert list(tmp_path.iterdir()) == []
    if raised is OutputError:
        assert caught.value.faults[0].where == str(tmp_path / "final")
        assert caught.value.faults[0].mend


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_what_is_there_is_never_touched(tmp_path: Path, taken: str) -> None:
    final = tmp_path / "final"
    kept = final / "kept" if taken == "folder" else final
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    for attempt in (storage.require_empty, lambda path: storage.new_folder(path).__enter__()):
        with pytest.raises(OutputError, match=r"the output folder is (not empty|a file)"):
            attempt(final)
    assert kept.read_text() == "mine"


def test_a_file_on_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for final in (tmp_path / "file" / "run", tmp_path / "file" / "deeper" / "run"):
        with pytest.raises(OutputError, match="file"):
            storage.write_bytes(final, b"")
        with pytest.raises(OutputError, match="file"), storage.new_folder(final):
            pass


def test_a_name_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"):
        storage.write_bytes(tmp_path / ("n" * 300), b"")


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / "file"
    storage.write_bytes(final, b"old")
    storage.write_bytes(final, b"new")
    assert final.read_bytes() == b"new"

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        storage.write_bytes(final, b"newer")
    assert final.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [final]


def test_space_is_asked_for_beforehand(tmp_path: Path) -> None:
    place = tmp_path / "not" / "made" / "yet"
    storage.require_space(place, 1)
    with pytest.raises(OutputError, match=r"MB are needed, .* MB are free"):
        storage.require_space(place, 10**18)
    assert not place.parent.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.name != "posix" or os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    import numpy as np

    weights = {"weight": np.zeros(1 << 20, dtype=np.float32)}

    def write_folder() -> None:
        with storage.new_folder(small_disk / "bundle") as temporary:
            save_file(weights, str(temporary / "model.safetensors"))

    with pytest.raises(OutputError, match="the disk is full"):
        write_folder()
    with pytest.raises(OutputError, match="the disk is full"):
        storage.write_bytes(small_disk / "file", bytes(4 << 20))
    assert list(small_disk.iterdir()) == []
    storage.write_bytes(small_disk / "file", bytes(1 << 19))
    assert (small_disk / "file").stat().st_size == 1 << 19


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.skipif(os.name != "posix", reason="flock is of POSIX")
def test_one_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    lock, inside, most = tmp_path / ".lock", [0], [0]

    def hold() -> None:
        for _ in range(20):
            with storage.locked(lock):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="flock is of POSIX")
def test_who_does_not_wait_is_told(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with storage.locked(lock, wait=False) as first, storage.locked(lock, wait=False) as second:
        assert (first, second) == (True, False)
    lock.touch()  # left behind by a process that was killed
    with storage.locked(lock, wait=False) as again:
        assert again
    with pytest.raises(OutputError), storage.locked(tmp_path / "gone" / ".lock"):
        pass


def test_a_private_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    storage.make_private(folder)
    assert storage.is_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o750)
    assert not storage.is_private(folder)
    storage.make_private(folder)
    assert storage.is_private(folder)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root gives folders away")
def test_a_folder_of_another_user_is_not_private(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    os.chown(folder, 12345, 12345)
    with pytest.raises(OutputError, match="another user's folder"):
        storage.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o755
    folder.chmod(0o700)
    assert not storage.is_private(folder)


def test_a_private_folder_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file stands where"):
        storage.make_private(tmp_path / "file" / "folder")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_who_may_open_a_new_folder(tmp_path: Path) -> None:
    for mode in (0o755, 0o700):
        with storage.new_folder(tmp_path / f"{mode:o}", mode=mode):
            pass
        assert (tmp_path / f"{mode:o}").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"TUNESMITH_CACHE": "/fast", "XDG_CACHE_HOME": "/xdg"}, "/fast/tokens"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/tunesmith/tokens"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/tunesmith/tokens"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Caches/tunesmith/tokens"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tunesmith/tokens"),
    ],
)
def test_where_a_users_caches_are(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("TUNESMITH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert storage.user_cache("tokens") == Path(expected)
