"""A trial's own process: `python -m tunesmith.search MODULE FOLDER`.

`MODULE` has `run_trial(folder, report)`, which trains with the settings in `FOLDER`, reports its
epochs, and returns the leading metric on the validation rows.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, cast

from tunesmith.errors import TunesmithError
from tunesmith.search._messages import (
    EpochMessage,
    FailureMessage,
    Message,
    ResultMessage,
    write_message,
)

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


class _Trials(Protocol):
    """The module that knows how to run a trial."""

    def run_trial(self, folder: Path, report: Callable[[int, int, float], None]) -> float: ...


def main(module: str, folder: str) -> None:
    """Runs one trial, and tells the search what comes of it."""
    channel = _take_standard_output()
    threading.Thread(target=_end_with_the_search, daemon=True).start()
    _be_the_first_to_go()

    def send(message: Message) -> None:
        # A search that is gone hears nothing, and is about to end this process.
        with contextlib.suppress(BrokenPipeError):
            channel.write(write_message(message))
            channel.flush()

    def report(epoch: int, num_epochs: int, metric: float) -> None:
        send(EpochMessage(epoch, num_epochs, metric))

    try:
        trials = cast("_Trials", importlib.import_module(module))
        send(ResultMessage(trials.run_trial(Path(folder), report)))
    except Exception as error:  # noqa: BLE001 - a process boundary: the search must go on
        traceback.print_exc()
        send(FailureMessage(_reason(error)))


def _take_standard_output() -> IO[str]:
    """The way to the search; whatever libraries print goes to the log instead."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def _end_with_the_search() -> None:
    """Waits for the search to end, in whatever way, and ends this process and its children."""
    os.read(sys.stdin.fileno(), 1)  # not of sys.stdin, which a thread may not hold at the exit
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _be_the_first_to_go() -> None:
    """Where memory runs out, Linux shall end a trial and not the search."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _reason(error: Exception) -> str:
    """An error in one clause."""
    if isinstance(error, TunesmithError):
        return error.faults[0].what
    text = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
    if isinstance(error, MemoryError) or any(word in text.lower() for word in _MEMORY_WORDS):
        return "out of memory"
    return text


if __name__ == "__main__":
    main(*sys.argv[1:])
