"""A study: what was tried, what came of it, and what to try next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from tunesmith import storage
from tunesmith.search._journal import distributions, open_journal
from tunesmith.search._space import Point, Space, point_key
from tunesmith.search._trial import State, Trial

__all__ = ["Study"]

_WHOLE = 90  # a trial's whole training, in the pruner's steps
_FIRST_RUNG = 10  # the first look is taken after a ninth of it, the next after a third
_KILLED = "the search was killed while it ran"
_KILLS_AT_MOST = 3  # while the same settings ran: then it may well be these that kill it
_POINTS_LISTED = 10_000
_TRIALS_FOR_IMPORTANCE = 6


class Study:
    """Trials, kept in a folder; whoever opens it again finds it as it was.

    Settings are chosen by TPE (Watanabe 2023, arXiv:2304.11127), multivariate, from what all
    trials came to. Trials are ended early by Hyperband (Li et al. 2018, arXiv:1603.06560; in its
    asynchronous form, arXiv:1810.05934) with the share of a trial's own epochs as the resource:
    trials of different lengths are so compared at the same place of their schedules.
    """

    def __init__(self, folder: Path, space: Space, *, seed: int, num_trials: int) -> None:
        """Opens the study in `folder`; a new one is begun where there is none.

        Args:
            folder: must exist; nobody else may have this study open.
            seed: with the trials so far, decides what is tried next.
            num_trials: how many trials are planned; the first third of them, ten at most, are
                drawn at random.
        """
        self.folder = folder
        self.space = space
        self._seed = seed
        self._num_random = max(3, min(10, num_trials // 3))
        self._distributions = distributions(space)
        self._points = space.points(_POINTS_LISTED)
        self._optuna = open_journal(folder / "journal.log")
        self._hyperband = optuna.pruners.HyperbandPruner(_FIRST_RUNG, _WHOLE, reduction_factor=3)
        self._asked: dict[int, optuna.Trial] = {}
        self._running: dict[int, Trial] = {}
        self._ended = {trial.number: trial for trial in self._saved_trials()}
        self._end_stale()

    @property
    def spent_s(self) -> float:
        """The time that trials ran, in this process and before."""
        return float(self._optuna.user_attrs.get("spent_s", 0.0))

    def note_spent(self, seconds: float) -> None:
        """Keeps how long trials ran so far."""
        self._optuna.set_user_attr("spent_s", round(seconds, 2))

    def trial_folder(self, number: int) -> Path:
        """Where a trial's files are."""
        return self.folder / "trials" / f"{number:03d}"

    def trials(self) -> tuple[Trial, ...]:
        """Every trial that was started, in order."""
        return tuple(one for _, one in sorted({**self._ended, **self._running}.items()))

    @property
    def num_counted(self) -> int:
        """How many of the trials that were asked for are done."""
        return sum(trial.is_counted for trial in self.trials())

    def enqueue(self, point: Point, *, once: bool = False) -> None:
        """Has this point tried before any that the sampler thinks of.

        Args:
            once: not where it was tried, or is to be tried, already.
        """
        self._optuna.enqueue_trial(dict(point), skip_if_exists=once)

    def ask(self) -> Trial | None:
        """Starts a trial with settings that were not tried before; None where none are left."""
        untried = self._untried()
        if untried is not None and not untried:
            return None
        asked = self._ask_sampler()
        if untried is not None and point_key(asked.params) not in map(point_key, untried):
            # In a small space the sampler comes back to what it knows to be good.
            self._optuna.tell(asked, state=TrialState.FAIL)
            generator = np.random.default_rng(self._next_seed())
            self.enqueue(untried[int(generator.integers(len(untried)))])
            asked = self._ask_sampler()
        trial = Trial(asked.number, dict(asked.params), "running")
        self._asked[trial.number], self._running[trial.number] = asked, trial
        self.trial_folder(trial.number).mkdir(parents=True, exist_ok=True)
        return trial

    def report(self, number: int, epoch: int, num_epochs: int, metric: float) -> bool:
        """Notes an epoch of a running trial; returns whether the trial should be ended.

        A trial's first epoch is 1; what it had before (epoch 0) is noted and judged by nobody.
        """
        trial = self._running[number]
        trial = replace(trial, epochs=(*trial.epochs, (epoch, num_epochs, metric)))
        self._running[number] = trial
        if not 0 < epoch < num_epochs:
            return False
        step = _WHOLE * epoch // num_epochs
        if step > (self._frozen(number).last_step or 0):
            best = max(one for at, _, one in trial.epochs if at > 0)
            self._asked[number].report(best, step)
        # The first trial has the user's own settings: its result is what others are measured by.
        if point_key(trial.settings) == point_key(self.trials()[0].settings):
            return False
        return self._hyperband.prune(self._optuna, self._frozen(number))

    def complete(self, number: int, metric: float, seconds: float) -> Trial:
        """A trial came to its end."""
        return self._end(replace(self._running[number], metric=metric), "complete", seconds)

    def prune(self, number: int, seconds: float) -> Trial:
        """A trial was ended as `report` advised."""
        return self._end(self._running[number], "pruned", seconds)

    def fail(self, number: int, reason: str, seconds: float) -> Trial:
        """A trial failed by itself; the sampler keeps away from such settings."""
        return self._end(replace(self._running[number], reason=reason), "failed", seconds)

    def stop(self, number: int, reason: str, seconds: float) -> Trial:
        """A trial was cut short by no fault of its own; it is the next to be tried."""
        return self._end(replace(self._running[number], reason=reason), "stopped", seconds)

    def importance(self) -> dict[str, float]:
        """Each setting's share in the metric's spread, the greatest first; empty for few trials.

        PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv:2304.10255) over complete trials.
        """
        complete = [trial for trial in self.trials() if trial.state == "complete"]
        varied = [
            name
            for name in self.space.dimensions
            if len({point_key({name: trial.settings[name]}) for trial in complete}) > 1
        ]
        alike = len({trial.metric for trial in complete}) == 1
        if len(complete) < _TRIALS_FOR_IMPORTANCE or alike or not varied:
            return {}
        shares = optuna.importance.get_param_importances(self._optuna, params=varied)
        return {name: float(share) for name, share in shares.items()}

    def _ask_sampler(self) -> optuna.Trial:
        # A new sampler for each trial: what is asked depends on the trials so far alone, and a
        # study that was resumed goes on as it would have.
        self._optuna.sampler = optuna.samplers.TPESampler(
            n_startup_trials=self._num_random, multivariate=True, seed=self._next_seed()
        )
        return self._optuna.ask(self._distributions)

    def _next_seed(self) -> int:
        started = sum(trial.state != "stopped" for trial in self.trials())
        digest = hashlib.sha256(f"{self._seed} {started}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def _untried(self) -> list[Point] | None:
        """The points that no trial had; None where the space has too many to list."""
        if self._points is None:
            return None
        tried = {point_key(one.settings) for one in self.trials() if one.state != "stopped"}
        return [point for point in self._points if point_key(point) not in tried]

    def _end(self, trial: Trial, state: State, seconds: float) -> Trial:
        """Writes what became of a trial: first for people and for a restart, then for the sampler.

        Raises:
            OutputError: the disk is full.
        """
        trial = replace(trial, state=state, seconds=seconds)
        self._save(trial)
        asked = self._asked[trial.number]
        if state == "failed":
            asked.set_constraint("failed", 1.0)
        self._tell(trial)
        del self._asked[trial.number], self._running[trial.number]
        if state == "stopped":
            self.enqueue(dict(trial.settings))
        return trial

    def _tell(self, trial: Trial) -> None:
        if trial.state == "complete":
            self._optuna.tell(trial.number, trial.metric)
            return
        # To the sampler a failed trial is a pruned one that breaks a constraint: as a failed one
        # it would be as good as unknown, and would be tried again.
        is_stopped = trial.state == "stopped"
        told = TrialState.FAIL if is_stopped else TrialState.PRUNED
        self._optuna.tell(trial.number, state=told)

    def _saved_trials(self) -> Iterator[Trial]:
        for file in sorted(self.folder.glob("trials/*/result.json")):
            yield Trial.from_dict(json.loads(file.read_text(encoding="utf-8")))

    def _end_stale(self) -> None:
        """Ends the trials that ran when the search was killed, and has them tried again."""
        for frozen in self._optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if frozen.number in self._ended:  # it was killed between the two writes of `_end`
                self._tell(self._ended[frozen.number])
                continue
            trial = Trial(frozen.number, dict(frozen.params), "stopped", reason=_KILLED)
            kills = sum(
                one.reason == _KILLED and point_key(one.settings) == point_key(trial.settings)
                for one in self.trials()
            )
            if kills + 1 >= _KILLS_AT_MOST:
                trial = replace(trial, state="failed")
            self._save(trial)
            self._tell(trial)
            if trial.state == "stopped":
                self.enqueue(dict(trial.settings))

    def _save(self, trial: Trial) -> None:
        file = self.trial_folder(trial.number) / "result.json"
        storage.write_bytes(file, (json.dumps(trial.as_dict(), indent=1) + "\n").encode())
        self._ended[trial.number] = trial

    def _frozen(self, number: int) -> optuna.trial.FrozenTrial:
        return self._optuna.get_trials(deepcopy=False)[number]
