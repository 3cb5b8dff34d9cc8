"""The search itself: trials side by side, each watched, until there are enough or time is up."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Literal, TypeAlias

from tunesmith.search._messages import EpochMessage, FailureMessage, Message, ResultMessage
from tunesmith.search._process import Limits, TrialProcess
from tunesmith.search._study import Study
from tunesmith.search._trial import Trial

__all__ = ["Ending", "search"]

Ending: TypeAlias = Literal["trials", "budget", "space", "user", "failures"]
"""Why a search ended: all trials are done, time is up, nothing is left to try, the user stopped
it, or its first trials all failed."""

_TICK_S = 0.2
_FAILURES_AT_MOST = 5  # from the first trial on: then it is no fault of the settings tried


@dataclass(slots=True)
class _Running:
    """A trial's process, and what it said last of itself."""

    process: TrialProcess
    result: ResultMessage | FailureMessage | None = None


@dataclass(slots=True)
class _Search:
    """What the parts of a search share."""

    study: Study
    module: str
    environment: Mapping[str, str]
    limits: Limits
    jobs: int
    num_trials: int
    budget_s: float | None
    prepare: Callable[[Trial], None]
    on_trial: Callable[[Trial], None]
    running: dict[int, _Running] = field(default_factory=dict)
    heard: SimpleQueue[tuple[int, Message | None]] = field(default_factory=SimpleQueue)
    is_exhausted: bool = False
    spent_before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return self.spent_before_s + time.monotonic() - self.started


def search(
    study: Study,
    module: str,
    *,
    num_trials: int,
    jobs: int = 1,
    budget_s: float | None = None,
    limits: Limits,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[Trial], None],
    on_trial: Callable[[Trial], None],
    should_stop: Callable[[], bool],
) -> Ending:
    """Runs trials until the study has `num_trials`, time is up, or the user stops it.

    Whatever happens, no trial outlives this call: those that still run are ended, and are tried
    again when the study goes on. Should this process be killed, they end by themselves.

    Args:
        module: what runs a trial; see `tunesmith.search.__main__`.
        jobs: trials at once.
        budget_s: seconds that trials may run, those of earlier calls on this study included.
        limits: what each trial may take.
        environment: for the trials' processes.
        prepare: writes what the trial needs into its folder, before it starts.
        on_trial: hears of each trial that has ended.
        should_stop: asked several times a second.

    Raises:
        OutputError: the disk is full; the study is whole.
    """
    run = _Search(
        study, module, environment or {}, limits, jobs, num_trials, budget_s, prepare, on_trial,
        spent_before_s=study.spent_s,
    )  # fmt: skip
    try:
        while True:
            ending = _ending(run, should_stop())
            if ending is not None:
                return ending
            _start_trials(run)
            _listen(run)
            _enforce_limits(run)
    finally:
        _stop_all(run)
        study.note_spent(run.spent_s)


def _ending(run: _Search, is_stopped: bool) -> Ending | None:
    """Why the search should end now; None where it goes on."""
    if is_stopped:
        return "user"
    if run.budget_s is not None and run.spent_s >= run.budget_s:
        return "budget"
    trials = [trial for trial in run.study.trials() if trial.is_counted]
    if len(trials) >= _FAILURES_AT_MOST and all(trial.state == "failed" for trial in trials):
        return "failures"
    if run.running:
        return None
    if len(trials) >= run.num_trials:
        return "trials"
    return "space" if run.is_exhausted else None


def _start_trials(run: _Search) -> None:
    while len(run.running) < run.jobs:
        if run.study.num_counted + len(run.running) >= run.num_trials:
            return
        trial = run.study.ask()
        run.is_exhausted = trial is None
        if trial is None:
            return
        run.prepare(trial)
        folder = run.study.trial_folder(trial.number)
        process = TrialProcess(trial.number, run.module, folder, run.heard, run.environment)
        run.running[trial.number] = _Running(process)


def _listen(run: _Search) -> None:
    """Hears what trials have to say, for a tick; or less, once one of them ends."""
    deadline = time.monotonic() + _TICK_S
    while (left := deadline - time.monotonic()) > 0:
        try:
            number, message = run.heard.get(timeout=left)
        except Empty:
            return
        own = run.running.get(number)
        if own is None:  # it was ended in the meantime
            continue
        if isinstance(message, EpochMessage):
            if run.study.report(number, message.epoch, message.num_epochs, message.metric):
                own.process.end()
                _close(run, run.study.prune(number, own.process.seconds))
                return
            run.study.note_spent(run.spent_s)
        elif message is not None:
            own.result = message
        else:
            _conclude(run, number, own)
            run.study.note_spent(run.spent_s)
            return


def _conclude(run: _Search, number: int, own: _Running) -> None:
    """A trial's process has ended, or is about to."""
    code = own.process.wait()
    seconds = own.process.seconds
    if isinstance(own.result, ResultMessage):
        trial = run.study.complete(number, own.result.metric, seconds)
    elif own.result is not None:
        trial = run.study.fail(number, own.result.reason, seconds)
    else:
        trial = run.study.fail(number, _death(code), seconds)
    _close(run, trial)


def _death(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "out of memory: the system ended its process"
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return "its process ended without a word"


def _enforce_limits(run: _Search) -> None:
    for number, own in [*run.running.items()]:
        breach = own.process.breach(run.limits) if own.result is None else ""
        if breach:
            own.process.end()
            _close(run, run.study.fail(number, breach, own.process.seconds))


def _stop_all(run: _Search) -> None:
    for own in run.running.values():
        own.process.end()
    for number, own in [*run.running.items()]:
        _close(run, run.study.stop(number, "the search ended before it", own.process.seconds))


def _close(run: _Search, trial: Trial) -> None:
    del run.running[trial.number]
    run.on_trial(trial)
