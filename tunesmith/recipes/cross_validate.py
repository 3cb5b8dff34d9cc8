"""How good a method is on these data: trained several times, each time judged on rows left out."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import (
    Base,
    available_cores,
    choose_device,
    choose_precision,
    extract_features,
    find_base,
    set_threads,
)
from tunesmith.config import DataConfig, RunConfig
from tunesmith.data import Split, fold_rows, overlap, split_dataset
from tunesmith.errors import ConfigError, DataError, Fault
from tunesmith.evaluation import CrossValidation
from tunesmith.recipes._fold import HELD_OUT, VALIDATION, FoldPlan, run_fold
from tunesmith.recipes._fold_figures import figures_of, write_predictions
from tunesmith.recipes._fold_folder import FoldFolder, FoldWork, Pinned
from tunesmith.recipes._fold_processes import run_in_processes
from tunesmith.recipes._lineage import Parent, find_parent
from tunesmith.recipes._listener import Listener, Recording, Silent
from tunesmith.recipes._methods import check_method, check_rows
from tunesmith.recipes._model import build_model, tokenize_split
from tunesmith.recipes._prepare import PreparedData, PreparedRows, prepare_rows
from tunesmith.recipes._replay import parent_rows
from tunesmith.recipes._run import settings_by_name
from tunesmith.recipes._splitting import validation_fraction
from tunesmith.types import Dataset

__all__ = ["CrossValidated", "cross_validate", "resume_cross_validation"]

_ROWS_WORTH_PROCESSES = 2_000  # of fewer, folds take less time than processes to start
_DIVISION = "division of the rows"
_BYTES_A_ROW = 4_000  # features, probabilities and text, generously


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """A finished cross-validation.

    Attributes:
        folder: cross_validation.html and .json, and out_of_fold.csv.
        result: every fold's figures, and what they come to; shows itself in a notebook.
        seconds: of this call.
    """

    folder: Path
    result: CrossValidation
    seconds: float

    @property
    def predictions(self) -> Path:
        """Every row with the answer of the model that had not seen it."""
        return self.folder / "out_of_fold.csv"

    def as_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "predictions": str(self.predictions),
            **self.result.as_dict(),
            "seconds": round(self.seconds, 2),
        }

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


def cross_validate(
    config: RunConfig,
    *,
    num_folds: int = 5,
    repeats: int = 1,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> CrossValidated:
    """Trains on all rows but one fold's, judges on that fold, and so with every fold.

    Folds are stratified, and what belongs together (equal texts, near-duplicates, rows of one
    group) is in one fold. A training's own validation rows are taken from the rows that it learns
    from. Where the output folder holds the same cross-validation unfinished, it goes on with it.

    Args:
        config: settings as for `train`; the base and the method are what is judged.
        num_folds: 2 or more.
        repeats: how often all rows are folded anew, each time with another seed.
        jobs: folds at once; None: as many as there are cores for a probe on many rows, else one,
            which has all cores.

    Raises:
        InputError: data, base, settings or output folder cannot be used.
        Interrupted: the user stopped it; the same call goes on.
        TrainingError: a fold could not be trained; those that are done are kept.
    """
    _check(config, num_folds, repeats, jobs)
    folder = FoldFolder(Path(config.output)) if config.output else None
    if folder is not None and folder.is_begun:
        folder.check_unfinished()
    else:
        folder = None
    return _run(config, Pinned(num_folds, repeats), jobs, listener or Silent(), folder)


def resume_cross_validation(
    folder: Path, *, jobs: int | None = None, listener: Listener | None = None
) -> CrossValidated:
    """Goes on with the cross-validation that was interrupted in `folder`.

    Raises:
        OutputError: there is nothing to resume.
        InputError: the data or the base changed since.
        Interrupted, TrainingError: see `cross_validate`.
    """
    own = FoldFolder(folder)
    config, pinned = own.reopen()
    _check(config, pinned.num_folds, pinned.repeats, jobs)
    return _run(config, pinned, jobs, listener or Silent(), own)


def _run(
    config: RunConfig,
    pinned: Pinned,
    jobs: int | None,
    heard_by: Listener,
    resumed: FoldFolder | None,
) -> CrossValidated:
    started = time.monotonic()
    listener = Recording(heard_by)
    check_method(config)
    base = find_base(config.base.id)
    parent = find_parent(base, config)
    rows = prepare_rows(config.data, listener, parent=parent)
    check_rows(config, rows.task, len(rows.dataset))
    _warn_of_known_rows(parent, rows.dataset, listener)
    parts = _parts(rows, config, pinned)
    facts = _pinned(config, pinned, base, rows, parts)
    if resumed is not None:
        # What else changed explains another division; alone, it is the order or the groups.
        resumed.check_pins({name: own for name, own in facts.items() if name != _DIVISION})
        resumed.check_pins(facts)
    size = 10_000_000 + _BYTES_A_ROW * len(rows.dataset)
    folder = resumed or FoldFolder.create(config, facts, size)
    with folder.in_use(is_new=resumed is None):
        plan = FoldPlan(
            _settled(config, folder.work, listener),
            pinned.num_folds,
            rows.task,
            rows.dataset,
            parts,
        )
        plan = _with_features(plan, base, folder.work, listener)
        _train_folds(plan, folder.work, jobs, listener)
        results = folder.work.results(len(plan))
        notes = dict.fromkeys((*listener.warnings, *(w for one in results for w in one.warnings)))
        result = figures_of(
            plan, results, config, rows.facts, base, tuple(notes), time.monotonic() - started
        )
        write_predictions(folder.path / "out_of_fold.csv", plan, results)
        result.write(folder.path)
        folder.remove_work()
    return CrossValidated(folder.path, result, time.monotonic() - started)


def _check(config: RunConfig, num_folds: int, repeats: int, jobs: int | None) -> None:
    """Refuses what cannot be done, all of it at once."""
    data, default = config.data, DataConfig()
    numbers = (
        ("folds", num_folds, 2),
        ("repeats", repeats, 1),
        ("jobs", 1 if jobs is None else jobs, 1),
    )
    faults = [
        Fault(f"there are {number} {name}", mend=f"give {least} or more")
        for name, number, least in numbers
        if number < least
    ]
    own = "a fold is held out of the one file; leave this out"
    named = {
        "data.validation": (data.validation, own),
        "data.test": (data.test, own),
        "data.test_fraction": (data.test_fraction != default.test_fraction, own),
        "data.time": (data.time, "folds do not follow the time; train with --time instead"),
        "data.replay": (data.replay, "old rows are no part of these data; leave this out"),
    }
    faults += [
        Fault("is not for cross-validation", name, mend)
        for name, (value, mend) in named.items()
        if value
    ]
    if data.validation_fraction == 0:
        mend = "give a share above 0: choices are made on these rows, and not on the fold"
        faults.append(Fault("leaves no validation rows", "data.validation_fraction", mend))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        faults.append(Fault("several processes train together", mend="use --jobs, not torchrun"))
    if faults:
        raise ConfigError.of(faults)


def _parts(rows: PreparedRows, config: RunConfig, pinned: Pinned) -> NDArray[np.int8]:
    """What each row is to each training; int8 [trainings, n]."""
    parts = np.zeros((pinned.num_folds * pinned.repeats, len(rows.dataset)), dtype=np.int8)
    for repeat in range(pinned.repeats):
        seed = (config.seed + repeat) % 2**32
        folds = fold_rows(
            rows.dataset, pinned.num_folds, seed, stratified=True,
            owners=rows.owners, links=rows.links,
        )  # fmt: skip
        for fold in range(pinned.num_folds):
            part = parts[repeat * pinned.num_folds + fold]
            part[folds == fold] = HELD_OUT
            rest = np.flatnonzero(folds != fold)
            part[rest[_validation_of(rows, rest, config, seed)]] = VALIDATION
    return parts


def _validation_of(
    rows: PreparedRows, rest: NDArray[np.int64], config: RunConfig, seed: int
) -> NDArray[np.int64]:
    """Which of the rows `rest` are for validation: places in it, as `train` would choose them."""
    numbered = replace(rows.dataset.take(rest), rows=np.arange(len(rest)))
    links = None
    if rows.links is not None:
        number = np.full(len(rows.dataset), -1, dtype=np.int64)
        number[rest] = np.arange(len(rest))
        links = number[rows.links]
        links = links[(links >= 0).all(axis=1)]
    split = split_dataset(
        numbered,
        validation=validation_fraction(config.data, len(rest)),
        test=0.0,
        seed=seed,
        stratified=config.data.split == "stratified",
        owners=None if rows.owners is None else [rows.owners[place] for place in rest.tolist()],
        links=links,
    )
    return np.asarray(split.validation.rows, dtype=np.int64)


def _pinned(
    config: RunConfig,
    pinned: Pinned,
    base: Base,
    rows: PreparedRows,
    parts: NDArray[np.int8],
) -> dict[str, Any]:
    """What must be the same when it goes on."""
    return {
        "folds": pinned.num_folds,
        "repeats": pinned.repeats,
        "data": rows.facts["fingerprint"],
        # The order of the rows, and what groups them, are not in the fingerprint.
        _DIVISION: hashlib.sha256(parts.tobytes()).hexdigest(),
        "base": base.digest,
        **settings_by_name(config),
    }


def _settled(config: RunConfig, work: FoldWork, listener: Listener) -> RunConfig:
    """The settings with what must be the same in all folds: the precision, which is measured once,
    and R-Drop, which is not left to the time that a fold happens to have. What `train` does after
    the choice no fold does, so that there is no time kept for it.
    """
    before = work.settings()
    precision, why = choose_precision(
        config.training.precision if before is None else before.training.precision,
        choose_device(),
    )
    if before is None:
        listener.say(f"{precision} for every fold: {why}")
    alike = {
        "precision": precision,
        "r_drop": config.training.r_drop or 0.0,
        "refit": "never",
        "model_soup": 1,
    }
    training = config.training.model_copy(update=alike)
    return config.model_copy(update={"training": training})


def _with_features(plan: FoldPlan, base: Base, work: FoldWork, listener: Listener) -> FoldPlan:
    """The plan with the frozen base's features of all rows, where a head on them is all there is.

    They are made once. No fold's base learns anything, so each would make the same ones.
    """
    if plan.config.training.method != "probe":
        work.write(plan)
        return plan
    if work.features() is None:
        model = build_model(base, plan.config, plan.task, listener)
        nothing = plan.dataset.take(np.zeros(0, dtype=np.int64))
        whole = PreparedData(plan.task, Split(plan.dataset, nothing, nothing), "", {})
        tokens = tokenize_split(model, whole, listener).train
        listener.stage("features of all rows, once for all folds", len(tokens))
        working = model.classifier.at(model.precision)
        work.keep_features(extract_features(working, tokens, on_rows=listener.advance))
    work.write(plan)
    return replace(plan, features=work.features())


def _train_folds(plan: FoldPlan, work: FoldWork, jobs: int | None, listener: Listener) -> None:
    missing = work.missing(len(plan))
    jobs = min(jobs or _suited_jobs(plan), max(len(missing), 1))
    threads = plan.config.training.threads or max(1, available_cores() // jobs)
    if len(missing) < len(plan):
        listener.say(f"{len(plan) - len(missing)} of {len(plan)} folds are done already")
    listener.stage("folds" if jobs == 1 else f"folds, {jobs} at once", len(plan))
    listener.advance(len(plan) - len(missing))
    if jobs > 1:
        run_in_processes(work, missing, jobs, threads, lambda _: listener.advance(1))
        return
    set_threads(threads)
    for number in missing:
        result = run_fold(plan, number, work.training(number), listener)
        result.write(work.result_file(number))
        listener.advance(1)


def _suited_jobs(plan: FoldPlan) -> int:
    """A head is fitted on one core as quickly as on several; fine-tuning uses all there are."""
    is_small = len(plan.dataset) < _ROWS_WORTH_PROCESSES
    return 1 if plan.features is None or is_small else min(available_cores(), len(plan))


def _warn_of_known_rows(parent: Parent | None, dataset: Dataset, listener: Listener) -> None:
    """Says where the base has learned from rows that are held out."""
    if parent is None:
        return
    known: Sequence[Any] | None = None
    if parent.train_rows.is_file():
        try:
            known = overlap(parent_rows(parent), dataset)
        except DataError:
            known = None
    if known is None:
        listener.warn(
            "the base is a bundle whose training rows are not at hand: where they are among these, "
            "the figures will look better than they are"
        )
    elif known:
        listener.warn(
            f"{len(known):,} of {len(dataset):,} rows have a text that the base bundle was trained "
            "on: the figures will look better than they are"
        )
