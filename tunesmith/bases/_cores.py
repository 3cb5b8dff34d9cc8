"""How many cores this process may use; needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_cores"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def available_cores() -> int:
    """The cores that this process may use: its affinity, cut by the quotas of its cgroups."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return min([cores, *(max(1, int(quota)) for quota in _quotas())])


def _quotas() -> Iterator[float]:
    """The cores that each of the process's groups may use together, of those with a quota.

    In a container the path that the system gives may be the host's, and absent; its own group is
    then at the top.
    """
    for folder in _folders():
        try:
            if (file := folder / "cpu.max").is_file():  # the second version
                limit, _, period = file.read_text(encoding="ascii").partition(" ")
            else:
                limit = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
                period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
            if limit.isdecimal():  # not "max", nor -1
                yield int(limit) / int(period)
        except (OSError, ValueError):
            continue


def _folders() -> Iterator[Path]:
    """The folders of the process's groups that share out processor time, and those above them."""
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    yield _GROUPS
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = _GROUPS / controllers if controllers else _GROUPS
        yield top
        for part in Path(path.lstrip("/")).parts:
            top = top / part
            yield top
