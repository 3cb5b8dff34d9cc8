"""A search over settings, and the run with the best of them, for which the test is opened."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith import storage
from tunesmith.bases import Base, find_base
from tunesmith.bundles import is_bundle
from tunesmith.config import RunConfig
from tunesmith.data import require_present
from tunesmith.errors import OutputError
from tunesmith.recipes._lineage import find_parent
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._methods import check_method
from tunesmith.recipes._model import build_model, space_needed
from tunesmith.recipes._prepare import PreparedData, prepare_data
from tunesmith.recipes._run import Run
from tunesmith.recipes._searching import choose, ending_text, report_of, run_trials
from tunesmith.recipes._slices import extra_names
from tunesmith.recipes._space import plan_search
from tunesmith.recipes._study import FinishedStudy, check_pinned, new_folder, pinned, stoppable
from tunesmith.recipes._trial import keep_split
from tunesmith.recipes.train import resume, train
from tunesmith.search import (
    Choice,
    SearchSettings,
    Space,
    Study,
    StudyFile,
    StudyFolder,
    with_settings,
)

__all__ = ["resume_study", "tune"]


def tune(
    config: RunConfig,
    search: SearchSettings | None = None,
    *,
    space: Space | None = None,
    listener: Listener | None = None,
) -> FinishedStudy:
    """Searches for good settings on the validation rows, and trains with them once more.

    Args:
        config: what every trial has; what is set here is not varied.
        search: how long and how widely.
        space: what is varied; None: what suits method, base and data.

    Raises:
        InputError: data, base, settings, space or output folder cannot be used; nothing was
            written.
        Interrupted: the user stopped it; `resume_study` goes on.
        TrainingError: no trial came to anything.
    """
    started = time.monotonic()
    listener = listener or Silent()
    if config.output:
        storage.require_empty(Path(config.output))
    require_present(config.data.test)  # not when the trials are done; nothing is read
    check_method(config)
    base = find_base(config.base.id)
    data = _prepare(base, config, listener)
    model = build_model(base, config, data.task, listener)
    plan = plan_search(config, space, model, data, listener)
    file = StudyFile(
        search=search or SearchSettings(),
        space=plan.space,
        start=plan.start,
        run=config,
        fixed=plan.fixed,
        pinned=pinned(data, base),
    )
    folder = new_folder(file, space_needed(model, config))
    del model  # the trials need the memory
    return _go_on(folder, file, data, listener, started)


def resume_study(
    folder: Path,
    changes: Mapping[str, object] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    listener: Listener | None = None,
) -> FinishedStudy:
    """Goes on with a study that was interrupted, or whose budget was too small.

    Args:
        changes: fields of `SearchSettings` with new values, such as more trials. A new budget is
            for what is left.
        names: field → how the user knows it, for the errors.

    Raises:
        ConfigError: a change cannot be made.
        OutputError: there is nothing to resume in `folder`, or it is finished.
        InputError: the data or the base changed since.
        Interrupted, TrainingError: see `tune`.
    """
    started = time.monotonic()
    listener = listener or Silent()
    own = StudyFolder(folder)
    file = own.read().with_search(changes or {}, names=names)
    if is_bundle(own.best / "bundle"):
        raise OutputError(
            "this study is finished: its test was opened, and no choice can follow",
            where=str(folder),
            mend=f"its bundle is {own.best / 'bundle'}; for more trials start a new study",
        )
    config = file.run
    require_present(config.data.test)  # not when the trials are done; nothing is read
    base = find_base(config.base.id)
    data = _prepare(base, config, listener)
    check_pinned(file, pinned(data, base), folder)
    has_new_budget = (changes or {}).get("budget_s") is not None
    return _go_on(own, file, data, listener, started, has_new_budget=has_new_budget)


def _go_on(
    folder: StudyFolder,
    file: StudyFile,
    data: PreparedData,
    listener: Listener,
    started: float,
    *,
    has_new_budget: bool = False,
) -> FinishedStudy:
    """Trials, a choice among them, and the run with it; nothing that is done is done again."""
    with folder.in_use(), stoppable(folder):
        keep_split(folder.rows, data)
        study = Study(folder.path, file.space, seed=file.run.seed, num_trials=file.search.trials)
        study.enqueue(file.start, once=True)
        if has_new_budget and file.search.budget_s is not None:
            file = file.with_search({"budget_s": study.spent_s + file.search.budget_s})
        folder.write(file)
        if not folder.best.exists():  # once the final run has begun, the search is over
            run_trials(folder, file, study, data, listener)
        choice = choose(folder, file, study, data)
        listener.say(f"{ending_text(file, study)} {choice.reason()}")
        run = _final_run(folder, file, choice, listener)
        test = f"With these settings, on the test rows: {run.report.headline()}."
        report = report_of(file, study, data, choice=choice, test=test)
        report.write(folder.path)
    shutil.rmtree(folder.rows)
    return FinishedStudy(folder.path, report, run, time.monotonic() - started)


def _prepare(base: Base, config: RunConfig, listener: Listener) -> PreparedData:
    parent = find_parent(base, config)
    extra = extra_names(config.evaluation)
    return prepare_data(
        config.data, config.seed, listener, parent=parent, with_test=False, extra=extra
    )


def _final_run(folder: StudyFolder, file: StudyFile, choice: Choice, listener: Listener) -> Run:
    """Trains with the user's own settings and the chosen ones; here the test rows are read."""
    if (folder.best / "config.yaml").is_file():
        return resume(folder.best, listener)
    chosen: dict[str, Any] = {**file.fixed, **choice.chosen.settings}
    return train(with_settings(file.run, {**chosen, "output": str(folder.best)}), listener)
