"""Folds side by side: some processes, each with its share of the trainings.

They are `tunesmith.search`'s processes of trials: of a session of their own, so that Ctrl-C reaches
this one alone, and gone when this one is, however it ends.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue

from tunesmith import storage
from tunesmith.bases import set_threads
from tunesmith.errors import TrainingError
from tunesmith.recipes._fold import run_fold
from tunesmith.recipes._fold_folder import FoldWork
from tunesmith.recipes._listener import Silent
from tunesmith.search import EpochMessage, FailureMessage, Message, ResultMessage, TrialProcess

__all__ = ["run_in_processes", "run_trial"]

_MODULE = "tunesmith.recipes._fold_processes"


def run_in_processes(
    work: FoldWork,
    numbers: Sequence[int],
    jobs: int,
    threads: int,
    on_fold: Callable[[int], None],
) -> None:
    """Trains folds in `jobs` processes, and waits for all of them.

    Args:
        work: holds the plan; gets the results.
        threads: of each process.
        on_fold: hears of each training that is done.

    Raises:
        TrainingError: one of them could not go on; the others were ended.
    """
    environment = {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    heard: SimpleQueue[tuple[int, Message | None]] = SimpleQueue()
    running: dict[int, TrialProcess] = {}
    try:
        for worker in range(min(jobs, len(numbers))):
            folder = work.path / f"worker-{worker + 1}"
            share = {"folds": list(numbers[worker::jobs]), "threads": threads}
            storage.write_bytes(folder / "share.json", json.dumps(share).encode())
            running[worker] = TrialProcess(worker, _MODULE, folder, heard, environment)
        done: set[int] = set()
        failures: dict[int, str] = {}
        while running:
            worker, message = heard.get()
            if isinstance(message, EpochMessage):
                on_fold(message.epoch)
            elif isinstance(message, ResultMessage):
                done.add(worker)
            elif isinstance(message, FailureMessage):
                failures[worker] = message.reason
            else:
                code = running.pop(worker).wait()
                if worker not in done:
                    log = work.path / f"worker-{worker + 1}" / "log.txt"
                    raise _failure(failures.get(worker), code, log)
    finally:
        for process in running.values():
            process.end()


def run_trial(folder: Path, report: Callable[[int, int, float], None]) -> float:
    """What a process does: the trainings that `share.json` in its folder names, one by one."""
    share = json.loads((folder / "share.json").read_text(encoding="utf-8"))
    work = FoldWork(folder.parent)
    plan = work.read()
    set_threads(share["threads"])
    for number in share["folds"]:
        result = run_fold(plan, number, work.training(number), _Log())
        result.write(work.result_file(number))
        report(number, len(plan), 0.0)
    return float(len(share["folds"]))


def _failure(reason: str | None, code: int | None, log: Path) -> TrainingError:
    if reason is None:
        killed = code is not None and code < 0
        name = signal.Signals(-(code or 0)).name if killed else f"code {code}"
        is_memory = killed and -(code or 0) == signal.SIGKILL
        reason = "out of memory: the system ended it" if is_memory else f"ended with {name}"
    mend = "the folds that are done are kept; see the log, or try --jobs 1"
    return TrainingError(f"a process that trains folds: {reason}", where=str(log), mend=mend)


class _Log(Silent):
    """What is said goes to the process's log."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the process's log

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")
