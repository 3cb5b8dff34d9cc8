"""From a labelled file to a bundle: the main job, top to bottom."""

from __future__ import annotations

import time
from pathlib import Path

from tunesmith import storage
from tunesmith.bases import find_base
from tunesmith.config import RunConfig
from tunesmith.recipes._judge import judge_candidates
from tunesmith.recipes._learn import (
    build_model,
    fine_tune,
    fit_probe,
    space_needed,
    tokenize_split,
)
from tunesmith.recipes._listener import Listener, Recording, Silent
from tunesmith.recipes._package import make_report, package
from tunesmith.recipes._prepare import prepare_data
from tunesmith.recipes._run import Run, RunFolder
from tunesmith.training import Checkpoints

__all__ = ["resume", "train"]

_CHECKPOINT_INTERVAL_S = 60.0


def train(config: RunConfig, listener: Listener | None = None) -> Run:
    """Checks the data, fine-tunes the base, judges the result, and writes report and bundle.

    Raises:
        InputError: data, base, settings or output folder cannot be used; nothing was written.
        Interrupted: the user stopped it; `resume` goes on.
        TrainingError: the loss is not a number any more.
    """
    if config.output:
        storage.require_empty(Path(config.output))
    return _run(config, Recording(listener or Silent()), None)


def resume(folder: Path, listener: Listener | None = None) -> Run:
    """Goes on with a run that was interrupted; the result is that of an undisturbed run.

    Raises:
        OutputError: there is nothing to resume in `folder`.
        InputError: the data or the base changed since.
    """
    run_folder, config = RunFolder.reopen(folder)
    return _run(config, Recording(listener or Silent()), run_folder)


def _run(config: RunConfig, listener: Recording, resumed: RunFolder | None) -> Run:
    started = time.monotonic()
    base = find_base(config.base.id)
    data = prepare_data(config.data, config.seed, listener)
    model = build_model(base, config, data.task, listener)
    tokens = tokenize_split(model, data, listener)
    folder = resumed or RunFolder.create(config, space_needed(model, config))
    checkpoints = Checkpoints(folder.checkpoints, interval_s=_CHECKPOINT_INTERVAL_S)
    with folder.in_use(is_new=resumed is None):
        folder.pin({"data": data.facts["fingerprint"], "base": base.digest}, resumed=bool(resumed))
        probe = fit_probe(model, tokens, data, listener)
        tuned = fine_tune(
            model, probe, tokens, data, config, listener,
            log=folder.metrics_log, checkpoints=checkpoints, resume=resumed is not None,
        )  # fmt: skip
        judged = judge_candidates(model, probe, tuned, tokens, data, config, listener)
        seconds = time.monotonic() - started
        report = make_report(config, base, data, model, tuned, judged, listener.warnings, seconds)
        bundle = package(folder.bundle, config, base, data, model, judged, report)
    checkpoints.remove()
    folder.copy_report(bundle)
    return Run(folder.path, bundle, report, time.monotonic() - started)
