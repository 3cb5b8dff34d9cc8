"""The part of a study in which trials run: what each is given, and what is said of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from tunesmith import config as config_module
from tunesmith import storage
from tunesmith.bases import available_cores
from tunesmith.config import DataConfig
from tunesmith.data import source_name
from tunesmith.errors import Interrupted, TrainingError
from tunesmith.recipes._compare import is_clearly_better
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._study import go_on_text
from tunesmith.search import (
    Choice,
    Limits,
    Scalar,
    Study,
    StudyFile,
    StudyFolder,
    StudyReport,
    Trial,
    choose_trial,
    memory_share,
    search,
    with_settings,
)
from tunesmith.training import stop_on_signals

__all__ = ["choose", "ending_text", "report_of", "run_trials"]

_MODULE = "tunesmith.recipes._trial"
_NO_CHECKPOINTS_S = 1e9  # a trial that is cut short begins anew


def run_trials(
    folder: StudyFolder, file: StudyFile, study: Study, data: PreparedData, listener: Listener
) -> None:
    """Runs what is left of the trials, and keeps the study's page up to date.

    Raises:
        Interrupted: the user stopped it.
        OutputError: the disk is full.
    """
    own = file.search
    threads = file.run.training.threads or max(1, available_cores() // own.jobs)
    limits = Limits(own.memory_bytes or memory_share(own.jobs), own.trial_limit_s)
    listener.say(
        f"up to {own.trials} trial{'s' * (own.trials > 1)}, {own.jobs} at once, with {threads} "
        f"thread{'s' * (threads > 1)} and at most {(limits.memory_bytes or 0) / 1e9:.1f} GB each"
    )
    listener.stage("trials", own.trials)
    listener.advance(study.num_counted)

    def prepare(trial: Trial) -> None:
        given = config_module.dump(_trial_config(file, trial, threads))
        storage.write_bytes(study.trial_folder(trial.number) / "config.yaml", given.encode())

    def on_trial(trial: Trial) -> None:
        listener.say(_in_words(trial, study))
        listener.advance(int(trial.is_counted))
        report_of(file, study, data).write(folder.path)

    with stop_on_signals() as stop:
        ending = search(
            study,
            _MODULE,
            num_trials=own.trials,
            jobs=own.jobs,
            budget_s=own.budget_s,
            limits=limits,
            environment={"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)},
            prepare=prepare,
            on_trial=on_trial,
            should_stop=lambda: stop.requested,
        )
    if ending == "user":
        raise Interrupted(f"stopped after {study.num_counted} of {own.trials} trials")


def choose(folder: StudyFolder, file: StudyFile, study: Study, data: PreparedData) -> Choice:
    """The trial whose settings are taken; see `choose_trial`.

    Raises:
        TrainingError: no trial is complete.
    """

    def is_ahead(a: Trial, b: Trial) -> bool:
        scores = [np.load(study.trial_folder(t.number) / "scores.npy") for t in (a, b)]
        return is_clearly_better(scores[0], scores[1], data, file.run)

    choice = choose_trial(study.trials(), is_ahead)
    report_of(file, study, data, choice=choice).write(folder.path)
    if choice is None:
        raise _nothing_complete(folder, file, study)
    return choice


def report_of(
    file: StudyFile,
    study: Study,
    data: PreparedData,
    *,
    choice: Choice | None = None,
    test: str = "",
) -> StudyReport:
    """The study as it stands."""
    return StudyReport(
        title=source_name(file.run.data.source),
        metric=data.task.default_metrics[0],
        num_validation_rows=len(data.split.validation),
        space=file.space,
        search=file.search.model_dump(),
        run=file.run.model_dump(mode="json"),
        trials=study.trials(),
        importance=study.importance(),
        choice=choice,
        ending="" if choice is None else ending_text(file, study),
        test=test,
        seconds=study.spent_s,
    )


def ending_text(file: StudyFile, study: Study) -> str:
    """Why no more trials are run, in a sentence."""
    done, wanted = study.num_counted, file.search.trials
    if done >= wanted:
        return f"All {done} trials are done."
    budget = file.search.budget_s
    if budget is not None and study.spent_s >= budget:
        return f"The budget of {budget:.0f} s is over: {done} of {wanted} trials fitted."
    return f"All {done} settings that the space has were tried."


def _nothing_complete(folder: StudyFolder, file: StudyFile, study: Study) -> TrainingError:
    """The error for a study that ended without a result; says what would help."""
    trials = study.trials()
    failed = [trial for trial in trials if trial.state == "failed"]
    if failed:
        [(reason, times)] = Counter(trial.reason for trial in failed).most_common(1)
        last = next(trial for trial in reversed(failed) if trial.reason == reason)
        return TrainingError(
            f"no trial was complete; {times} of {len(trials)} failed like this: {reason}",
            where=str(study.trial_folder(last.number) / "log.txt"),
            mend="mend what the log says, or give trials more with --memory or --trial-limit",
        )
    budget = file.search.budget_s or 0.0
    done, needed = "", 2 * budget + 1
    if trials and trials[-1].epochs:
        epoch, num_epochs, _ = trials[-1].epochs[-1]
        done = f"; it had done {epoch} of {num_epochs} epochs"
        needed = 1.3 * trials[-1].seconds * num_epochs / epoch if epoch else needed
    return TrainingError(
        f"the budget of {budget:.0f} s was over before the first trial was complete{done}",
        where=str(folder.path),
        mend=f"{go_on_text(folder)} --budget {needed:.0f}s, or more",
    )


def _trial_config(file: StudyFile, trial: Trial, threads: int) -> config_module.RunConfig:
    """The settings of a trial, which names none of the user's files."""
    own: dict[str, Any] = {
        "training.threads": threads,
        "training.checkpoint_interval_s": _NO_CHECKPOINTS_S,
        "training.track": (),
        "output": None,
    }
    run = file.run.model_copy(update={"data": DataConfig()})
    return with_settings(run, {**file.fixed, **trial.settings, **own})


def _in_words(trial: Trial, study: Study) -> str:
    name = f"trial {trial.number}"
    if trial.state == "complete":
        metrics = [one.metric for one in study.trials() if one.state == "complete"]
        is_best = metrics.count(trial.metric) == 1 and trial.metric == max(m or 0 for m in metrics)
        mark = ", the best so far" if is_best else ""
        settings = ", ".join(f"{_short(n)} {_plain(v)}" for n, v in trial.settings.items())
        return f"{name}: {trial.metric:.1%} in {trial.seconds:.0f} s{mark} ({settings})"
    if trial.state == "pruned":
        epoch, num_epochs, metric = trial.epochs[-1]
        return f"{name}: pruned after {epoch} of {num_epochs} epochs, at {metric:.1%}"
    return f"{name}: {trial.state}: {trial.reason}"


def _short(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")


def _plain(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()
