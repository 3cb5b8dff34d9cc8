"""The control groups of this process: what the system, a container or a job lets it use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["cores_allowed", "memory_left"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def cores_allowed() -> Iterator[float]:
    """The cores that each of the groups may use together, of those with a quota."""
    for folder in _group_folders("cpu"):
        try:
            if (file := folder / "cpu.max").is_file():  # the second version
                limit, _, period = file.read_text(encoding="ascii").partition(" ")
            else:
                limit = _text(folder / "cpu.cfs_quota_us")
                period = _text(folder / "cpu.cfs_period_us")
            if limit.isdecimal():  # not "max", nor -1
                yield int(limit) / int(period)
        except (OSError, ValueError):
            continue


def memory_left() -> Iterator[int]:
    """The bytes that each of the groups has left, of those with a limit.

    Pages of files that were not used of late count as left: the system takes them back when needed.
    """
    for folder in _group_folders("memory"):
        try:
            if (file := folder / "memory.max").is_file():
                limit, used, idle = _text(file), "memory.current", "inactive_file"
            else:
                limit = _text(folder / "memory.limit_in_bytes")
                used, idle = "memory.usage_in_bytes", "total_inactive_file"
        except (OSError, ValueError):
            continue
        if limit.isdecimal():
            yield max(0, int(limit) - _held(folder, used, idle))


def _held(folder: Path, used: str, idle: str) -> int:
    """The bytes that a group cannot give back; 0 where it does not say what it uses."""
    try:
        figures = dict(line.split(" ", 1) for line in _text(folder / "memory.stat").splitlines())
        return max(0, int(_text(folder / used)) - int(figures.get(idle, "0")))
    except (OSError, ValueError):
        return 0


def _group_folders(controller: str) -> Iterator[Path]:
    """The folders of the process's groups that share out what `controller` says, and those above.

    In a container the path that the system gives may be the host's, and absent; its own group is
    then at the top.

    Args:
        controller: "cpu" or "memory".
    """
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    yield _GROUPS
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = _GROUPS / controllers if controllers else _GROUPS
        yield top
        for part in Path(path.lstrip("/")).parts:
            top = top / part
            yield top


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()
