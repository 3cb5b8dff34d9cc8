"""What control groups allow, of both versions, nested and in containers."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tunesmith import cgroups
from tunesmith.bases import available_cores
from tunesmith.search import memory_share


def make_groups(
    groups: str, files: dict[str, str], folder: Path, patch: pytest.MonkeyPatch
) -> None:
    """The system's files as they would be: the process's own groups, and what stands in each."""
    own = folder / "own"
    own.write_text(groups)
    for name, content in files.items():
        (folder / "top" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "top" / name).write_text(content)
    patch.setattr(cgroups, "_GROUPS", folder / "top")
    patch.setattr(cgroups, "_OWN_GROUPS", own)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("", {}, 64),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/a.slice/b\n", {"a.slice/cpu.max": "300000 100000", "a.slice/b/cpu.max": "max 1"}, 3),
        ("0::/docker/of-the-host\n", {"cpu.max": "400000 100000"}, 4),
        (
            "5:memory:/x\n4:cpu,cpuacct:/d\n",
            {
                "cpu,cpuacct/d/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/d/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        (
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            64,
        ),
    ],
)
def test_cores_follow_the_quotas_of_the_control_groups(
    groups: str, files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_groups(groups, files, tmp_path, monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert available_cores() == cores


SECOND = {"memory.max": "4000\n", "memory.current": "1500\n", "memory.stat": "inactive_file 500\n"}
FIRST = {
    "memory.limit_in_bytes": "5000\n",
    "memory.usage_in_bytes": "4000\n",
    "memory.stat": "cache 7\ntotal_inactive_file 1000\n",
}


@pytest.mark.parametrize(
    ("groups", "files", "left"),
    [
        ("", {}, 10_000),
        ("0::/\n", SECOND, 3000),
        ("0::/\n", {**SECOND, "memory.max": "max\n"}, 10_000),
        (
            "0::/a.slice/b\n",
            {**{f"a.slice/{name}": text for name, text in SECOND.items()}, "memory.max": "max\n"},
            3000,
        ),
        (
            "5:memory:/x\n4:cpu:/d\n",
            {f"memory/x/{name}": text for name, text in FIRST.items()},
            2000,
        ),
        ("0::/\n", {**SECOND, "memory.current": "4400\n", "memory.stat": "anon 9\n"}, 0),
        ("0::/\n", {"memory.max": "4000\n"}, 4000),
    ],
)
def test_trials_share_what_the_control_groups_have_left(
    groups: str, files: dict[str, str], left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_groups(groups, files, tmp_path, monkeypatch)
    free = psutil.virtual_memory()._replace(available=10_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert memory_share(2) == int(0.9 * left / 2)
