"""How many cores this process may use; needs no torch."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_cores"]


def available_cores() -> int:
    """The cores that this process may use: its affinity, cut by the cgroup's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, _, period = quota.read_text().strip().partition(" ")
        if limit != "max":
            cores = min(cores, max(1, int(limit) // int(period)))
    return cores
