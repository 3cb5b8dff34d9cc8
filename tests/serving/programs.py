"""Servers that tests start as programs of their own, so that signals and exits are real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["running"]


@contextmanager
def running(
    program: str, *flags: str, num_lines: int = 1
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The program's process and its first lines, of which the last is where it listens."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "tests")])
    with subprocess.Popen(
        [sys.executable, *flags, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(num_lines)]
        assert lines[-1].startswith("http://127.0.0.1:"), process.communicate()
        yield process, lines
        process.kill()
