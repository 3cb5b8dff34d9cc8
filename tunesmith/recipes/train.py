"""From a labelled file to a bundle: the main job, top to bottom."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith import storage
from tunesmith.bases import Base, find_base
from tunesmith.checks import Names, looking_for_names
from tunesmith.config import RunConfig
from tunesmith.data import fingerprint
from tunesmith.recipes._baselines import fit_baselines
from tunesmith.recipes._card import make_card
from tunesmith.recipes._choose import choose_model
from tunesmith.recipes._energy import EnergyMeter
from tunesmith.recipes._examine import examine
from tunesmith.recipes._finish import finish
from tunesmith.recipes._forgetting import find_old_rows, judge_parent, measure_forgetting
from tunesmith.recipes._judge import examined, judge_candidates
from tunesmith.recipes._kept_probe import keep_probe
from tunesmith.recipes._lineage import find_parent
from tunesmith.recipes._listener import Listener, Recording, Silent
from tunesmith.recipes._methods import check_method, check_rows, wants_soft_labels, warn_of_unused
from tunesmith.recipes._model import Model, build_model, space_needed, tokenize_split
from tunesmith.recipes._package import make_report, package
from tunesmith.recipes._plan import may_refit
from tunesmith.recipes._prepare import PreparedData, prepare_data
from tunesmith.recipes._probe import fit_probe
from tunesmith.recipes._run import Run, RunFolder, settings_by_name
from tunesmith.recipes._slices import extra_names
from tunesmith.recipes._versions import with_changes
from tunesmith.training import Processes, join_processes

__all__ = ["resume", "train"]


def train(config: RunConfig, listener: Listener | None = None) -> Run:
    """Checks the data, fine-tunes the base, judges the result, and writes report and bundle.

    Raises:
        InputError: data, base, settings or output folder cannot be used; nothing was written.
        Interrupted: the user stopped it; `resume` goes on.
        TrainingError: the loss is not a number any more.
    """
    processes = join_processes()
    if config.output and processes.is_first:
        storage.require_empty(Path(config.output))
    with looking_for_names(_names(config)):
        return _run(config, listener or Silent(), None, processes)


def resume(
    folder: Path, listener: Listener | None = None, *, learning_rate: float | None = None
) -> Run:
    """Goes on with a run that was interrupted; the result is that of an undisturbed run.

    Args:
        learning_rate: a lower one, for a run that ended since its rate was too high; it goes on
            from the last checkpoint before the loss rose, or from the start.

    Raises:
        ConfigError: the rate cannot be used.
        OutputError: there is nothing to resume in `folder`.
        InputError: the data or the base changed since.
    """
    run_folder, config = RunFolder.reopen(folder, learning_rate=learning_rate)
    with looking_for_names(_names(config)):
        return _run(config, listener or Silent(), run_folder, join_processes())


def _names(config: RunConfig) -> Names | None:
    return Names(config.data.names_model) if config.data.names else None


def _run(
    config: RunConfig, heard_by: Listener, resumed: RunFolder | None, processes: Processes
) -> Run:
    started, meter = time.monotonic(), EnergyMeter()
    listener = Recording(heard_by if processes.is_first else Silent())
    check_method(config)
    base = find_base(config.base.id)
    parent = find_parent(base, config)
    extra = extra_names(config.evaluation)
    data = prepare_data(config.data, config.seed, listener, parent=parent, extra=extra)
    check_rows(config, data.task, len(data.split.train))
    data = with_changes(data, parent, listener)
    old = find_old_rows(parent, data, listener)
    precision = resumed.precision if resumed else None
    model = build_model(base, config, data.task, listener, precision=precision)
    tokens = tokenize_split(model, data, listener)
    folder = resumed or _new_folder(config, model, processes)
    with folder.in_use(is_new=resumed is None and processes.is_first):
        if processes.is_first:
            folder.pin(_pinned(config, base, data, model), resumed=resumed is not None)
        baselines = (
            *fit_baselines(data.task, data.split, listener, seed=config.seed),
            *judge_parent(parent, data, listener),
        )
        probe = fit_probe(
            model, tokens, data, listener,
            seed=config.seed, parent=parent, keep=may_refit(data, config),
            soft=wants_soft_labels(config),
        )  # fmt: skip
        choice = choose_model(
            model, probe, baselines, tokens, data, config, listener,
            folder=folder.path, resume=resumed is not None, started=started,
        )  # fmt: skip
        warn_of_unused(choice.tuned.method, config, listener)
        final = finish(
            choice, model, probe, baselines, tokens, data, listener,
            folder=folder.path, resume=resumed is not None, parent=parent,
        )  # fmt: skip
        if not processes.is_first:
            processes.wait_for_first()
            return folder.finished(time.monotonic() - started)
        config, model = choice.config, final.model
        data = replace(data, facts={**data.facts, **final.facts})
        judged = judge_candidates(final, tokens, data, config, listener)
        forgetting = measure_forgetting(old, model, judged.task, data, config, listener)
        sections = examine(examined(model, judged, data, config), listener)
        seconds = time.monotonic() - started
        _say_if_late(seconds, config, listener)
        report = make_report(
            config, base, data, model, choice, judged, listener.warnings, seconds,
            parent=parent, forgetting=forgetting, sections=sections,
        )  # fmt: skip
        folder.keep_rows(final.learned.train, data.split.validation, data.facts)
        keep_probe(folder.path, final.probe, judged.probe_task, base.digest)
        bundle = package(
            folder.bundle, config, base, data, model, judged, report,
            card=make_card(config, base, data, report, meter), parent=parent,
        )  # fmt: skip
    folder.remove_state()
    folder.copy_report(bundle)
    processes.wait_for_first()
    return Run(folder.path, bundle, report, time.monotonic() - started)


def _say_if_late(seconds: float, config: RunConfig, listener: Listener) -> None:
    """Says that a budget did not suffice for what is not training, which nothing is left out of."""
    budget_s = config.training.budget_s
    if budget_s is not None and seconds > 1.1 * budget_s:
        listener.warn(
            f"the run took {seconds:.0f} s, and its budget was {budget_s:.0f} s: checks, "
            "baselines, features and the judging on test rows are done whatever the budget; for "
            "fewer of them, --set data.checks=false, --set evaluation.robustness=false or "
            "--set evaluation.explanation_seconds=0"
        )


def _pinned(config: RunConfig, base: Base, data: PreparedData, model: Model) -> dict[str, Any]:
    """What must be the same when the run is resumed: data, base, and each setting by its name."""
    split = data.split
    return {
        "data": data.facts["fingerprint"],
        "replay": data.facts.get("replay", {}).get("fingerprint"),
        # Batches are made of the rows' numbers; and other columns or files make other parts.
        "training rows": fingerprint(split.train, ordered=True),
        "validation rows": fingerprint(split.validation),
        "test rows": fingerprint(data.test),
        "base": base.digest,
        "precision": model.precision,
        **settings_by_name(config),
    }


def _new_folder(config: RunConfig, model: Model, processes: Processes) -> RunFolder:
    size = space_needed(model, config)
    return RunFolder(Path(processes.from_first(lambda: str(RunFolder.create(config, size).path))))
