"""A trial in a process of its own, watched from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import psutil

from tunesmith.cgroups import memory_left
from tunesmith.search._messages import Message, read_message

__all__ = ["Limits", "TrialProcess", "memory_share"]

_GRACE_S = 2.0
_SPARE = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    """What one trial may take; None: as much as it likes."""

    memory_bytes: int | None = None
    seconds: float | None = None


def memory_share(jobs: int) -> int:
    """What each of `jobs` trials may take of the memory that is free now, in bytes."""
    free = min([psutil.virtual_memory().available, *memory_left()])
    return int(_SPARE * free / jobs)


class TrialProcess:
    """`python -m tunesmith.search MODULE FOLDER`, in a session of its own.

    So a Ctrl-C at the terminal reaches the search alone, which ends its trials as it sees fit; and
    ending the session's process group ends what the trial has started too.
    """

    def __init__(
        self,
        number: int,
        module: str,
        folder: Path,
        heard: SimpleQueue[tuple[int, Message | None]],
        environment: Mapping[str, str],
    ) -> None:
        """Starts the process.

        Args:
            number: of the trial.
            module: see `tunesmith.search.__main__`.
            folder: the trial's; gets its log.
            heard: gets (number, message) for each message, and (number, None) at the end.
            environment: what the process's environment has beside this one's.
        """
        self.number = number
        self._started = time.monotonic()
        # Without -P a file in the user's folder that is called as a library would be imported.
        command = [sys.executable, "-P", "-m", "tunesmith.search", module, str(folder)]
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, args=(heard,), daemon=True)
        self._reader.start()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._started

    def breach(self, limits: Limits) -> str:
        """Which limit it has overstepped, in a clause; "" where none."""
        if limits.seconds is not None and self.seconds > limits.seconds:
            return f"took longer than {limits.seconds:g} s"
        if limits.memory_bytes is not None and self._memory_bytes() > limits.memory_bytes:
            return f"out of memory: took more than {limits.memory_bytes / 1e6:,.0f} MB"
        return ""

    def end(self) -> None:
        """Ends the process and all that it started."""
        self._signal(signal.SIGTERM)
        self.wait()

    def wait(self) -> int | None:
        """Waits for a process that is about to end; returns its code, None where it had no mind to.

        A negative code is the number of the signal that ended it.
        """
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_GRACE_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return code

    def _signal(self, number: int) -> None:
        """To the whole group, which may outlive the process that it is named after."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self, heard: SimpleQueue[tuple[int, Message | None]]) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                heard.put((self.number, read_message(line.decode())))
        heard.put((self.number, None))

    def _memory_bytes(self) -> int:
        """What the process and its children hold of the machine's memory."""
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += one.memory_info().rss
        return total
