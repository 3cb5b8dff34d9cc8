"""Files that are either whole or absent.

A result is written beside its final place under a temporary name, flushed to the disk, and then
renamed, so that a reader, a crash or a full disk never meets half of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from tunesmith.errors import OutputError

__all__ = [
    "is_private",
    "locked",
    "make_folder",
    "make_private",
    "making",
    "new_folder",
    "remove_folder",
    "require_empty",
    "require_space",
    "user_cache",
    "write_bytes",
]

_FULL = ("the disk is full", "free some space, or choose another disk")
_BLOCKED = ("a file stands where a folder is needed", "choose another folder")


def require_empty(folder: Path, *, mend: str = "choose another with --output") -> None:
    """Checks that `folder` is absent or empty.

    Raises:
        OutputError: it holds something, or is a file.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        kind = "a file" if folder.is_file() else "not empty"
        raise OutputError(f"the output folder is {kind}", where=str(folder), mend=mend)


def require_space(folder: Path, size_bytes: int) -> None:
    """Checks that the disk that holds `folder` has `size_bytes` to spare.

    Raises:
        OutputError: it has less; says how much is needed and free.
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    total, _, free = shutil.disk_usage(place)
    if total and free < size_bytes:  # no size at all: no disk, as /proc; writing will tell
        raise OutputError(
            f"the disk is too full: about {size_bytes / 1e6:,.0f} MB are needed, "
            f"{free / 1e6:,.0f} MB are free",
            where=str(folder),
            mend="free some space, or choose a folder on another disk with --output",
        )


def user_cache(name: str) -> Path:
    """The folder `name` in `$TUNESMITH_CACHE`, else where the system keeps a user's caches.

    It need not exist.
    """
    chosen = os.environ.get("TUNESMITH_CACHE")
    if chosen:
        return Path(chosen).expanduser() / name
    system = {
        "darwin": ("", "~/Library/Caches"),
        "win32": ("LOCALAPPDATA", "~/AppData/Local"),
    }
    variable, usual = system.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    # A system account may have no home; "~" then stays as it is, and is no place to write to.
    caches = os.environ.get(variable) or os.path.expanduser(usual)  # noqa: PTH111
    if caches.startswith("~"):
        caches = tempfile.gettempdir()
    return Path(caches) / "tunesmith" / name


def make_private(folder: Path) -> None:
    """Makes a folder that its owner alone may open, or sees to it that it is one.

    Raises:
        OutputError: it cannot be made, or is another user's.
    """
    with _readable_failures(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and folder.stat().st_uid != os.getuid():
            mend = "choose a folder that is yours"
            raise OutputError("is another user's folder", where=str(folder), mend=mend)
        folder.chmod(0o700)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, where it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    with _readable_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)


def remove_folder(folder: Path) -> None:
    """Removes a folder and all that it holds; one that is not there is no fault.

    Raises:
        OutputError: it may not be removed.
    """
    with _readable_failures(folder):
        if folder.exists():
            shutil.rmtree(folder)


def is_private(folder: Path) -> bool:
    """Whether a folder is this user's, and no other may open it; always so where not on POSIX."""
    if os.name != "posix":
        return folder.is_dir()
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o077


@contextmanager
def locked(place: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keeps other processes, and other threads, that lock the same file out of the block.

    The lock ends with its process, however that ends; where the system knows no `flock` there is
    none.

    Args:
        place: the lock's own file; it is made, and gone after the block.
        wait: whether to wait for another's lock; if not, the block is told False, and runs.

    Raises:
        OutputError: the file cannot be made.
    """
    if os.name != "posix":
        yield True
        return
    handle = _lock(place, wait=wait)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            place.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def making(output: Path, what: str) -> Iterator[None]:
    """Keeps other processes from making the same output within the block; its folder is made.

    Args:
        what: it is, such as "file".

    Raises:
        OutputError: another process is at it, or the folder cannot be made.
    """
    make_folder(output.parent)
    with locked(output.with_name(f".{output.name}.lock"), wait=False) as is_mine:
        if not is_mine:
            raise OutputError(f"another process is making this {what}", where=str(output))
        yield


def _lock(place: Path, *, wait: bool) -> int | None:
    import fcntl

    with _readable_failures(place):
        while True:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                # Whoever held it before has removed the file that this lock is on: once more.
                if place.exists() and os.path.samestat(os.fstat(handle), place.stat()):
                    return handle
            except BlockingIOError:
                os.close(handle)
                return None
            except FileNotFoundError:
                pass
            os.close(handle)


@contextmanager
def new_folder(final: Path, *, mode: int = 0o755) -> Iterator[Path]:
    """A temporary folder that becomes `final` when the block ends well, and vanishes when not.

    Args:
        final: where it goes; must be absent or empty.
        mode: who may open it, as `chmod` takes it.

    Raises:
        OutputError: `final` holds something already, or the disk is full or may not be written.
    """
    require_empty(final)
    with _readable_failures(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
        try:
            yield temporary
            temporary.chmod(mode)
            if final.is_dir():
                final.rmdir()
            temporary.rename(final)
            _flush(final.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(final: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Writes a file whole or not at all; an older one of the name is replaced in one step.

    Args:
        mode: who may read it, as `chmod` takes it; nobody else may while it is written.

    Raises:
        OutputError: the disk is full or may not be written.
    """
    with _readable_failures(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.name}.", dir=final.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(final)
            _flush(final.parent)
        finally:
            Path(name).unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    """Makes a rename in `folder` last through a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _readable_failures(place: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:
        # safetensors reports a failed write as its own error, with the system's words in it.
        if "No space left" not in str(error):
            raise
        raise OutputError(_FULL[0], where=str(place), mend=_FULL[1]) from error
    except OSError as error:
        reasons = {
            errno.ENOSPC: _FULL,
            errno.EDQUOT: ("your disk quota is used up", "free some space, or choose another disk"),
            errno.EACCES: ("may not be written", "choose a folder that is yours"),
            errno.EPERM: ("may not be written", "choose a folder that is yours"),
            errno.EROFS: ("the disk is read-only", "choose a folder on another disk"),
            errno.ENOENT: ("no folder can be made there", "choose another folder"),
            errno.EEXIST: _BLOCKED,
            errno.ENOTDIR: _BLOCKED,
            errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
        }
        if error.errno not in reasons:
            raise
        what, mend = reasons[error.errno]
        raise OutputError(what, where=str(place), mend=mend) from error
