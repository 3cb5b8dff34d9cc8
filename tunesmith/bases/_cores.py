"""How many cores this process may use; needs no torch."""

from __future__ import annotations

import os

from tunesmith.cgroups import cores_allowed

__all__ = ["available_cores"]


def available_cores() -> int:
    """The cores that this process may use: its affinity, cut by the quotas of its cgroups."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return min([cores, *(max(1, int(quota)) for quota in cores_allowed())])
