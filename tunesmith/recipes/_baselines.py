"""The cheap models that every other one has to beat."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.data import Split
from tunesmith.evaluation import MajorityBaseline, TfidfBaseline, choose_thresholds
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.tasks import MultiLabelClassification, Task
from tunesmith.types import Dataset

__all__ = ["FittedBaseline", "fit_baselines", "refit_baselines"]

_MOST_ROWS = 100_000  # more take minutes, and gigabytes of n-grams


@dataclass(frozen=True, slots=True)
class FittedBaseline:
    """A baseline that learned from the training rows.

    Attributes:
        task: the task with the decision rule fitted to its validation rows.
        validation_metric: the task's leading metric there, 0 to 1.
        test_probabilities: float64 [n, labels].
    """

    name: str
    task: Task
    validation_metric: float
    test_probabilities: NDArray[np.float64]
    seconds: float


def fit_baselines(
    task: Task, split: Split, listener: Listener, *, seed: int
) -> tuple[FittedBaseline, ...]:
    """Fits majority class and TF-IDF + linear to the training rows, and asks them for the test."""
    from sklearn.metrics import accuracy_score, f1_score

    listener.stage("baselines")
    num_rows = len(split.train)
    if num_rows > _MOST_ROWS:
        listener.say(f"the baselines learn from {_MOST_ROWS:,} of {num_rows:,} training rows")
    train, test = _learned_from(split, seed), split.test
    assert test is not None
    targets = task.encode(train.targets or [])
    wanted = task.encode(split.validation.targets or [])
    fitted: list[FittedBaseline] = []
    for baseline in _untrained(task, seed):
        started = time.monotonic()
        baseline.fit(train, targets)
        validation = baseline.probabilities(split.validation)
        own = task
        if isinstance(own, MultiLabelClassification):
            thresholds = choose_thresholds(wanted, validation)
            own = own.with_thresholds(thresholds)
            answers = validation >= np.array(thresholds)
            metric = f1_score(wanted, answers, average="macro", zero_division=0)
        else:
            metric = accuracy_score(wanted, validation.argmax(axis=1))
        probabilities = baseline.probabilities(test)
        seconds = time.monotonic() - started
        fitted.append(FittedBaseline(baseline.name, own, float(metric), probabilities, seconds))
    return tuple(fitted)


def refit_baselines(
    fitted: Sequence[FittedBaseline], task: Task, split: Split, *, seed: int
) -> tuple[FittedBaseline, ...]:
    """The same baselines, of which those that can have learned from `split`'s training rows.

    Their decision rules and validation figures stay what they were.
    """
    train, test = _learned_from(split, seed), split.test
    assert test is not None
    targets = task.encode(train.targets or [])
    by_name = {baseline.name: baseline for baseline in _untrained(task, seed)}
    refitted: list[FittedBaseline] = []
    for one in fitted:
        started = time.monotonic()
        baseline = by_name.get(one.name)
        if baseline is None:  # a parent bundle stays as it is
            refitted.append(one)
            continue
        baseline.fit(train, targets)
        probabilities = baseline.probabilities(test)
        seconds = one.seconds + time.monotonic() - started
        refitted.append(replace(one, test_probabilities=probabilities, seconds=seconds))
    return tuple(refitted)


def _untrained(task: Task, seed: int) -> tuple[MajorityBaseline | TfidfBaseline, ...]:
    return MajorityBaseline(task.labels), TfidfBaseline(task.labels, seed=seed)


def _learned_from(split: Split, seed: int) -> Dataset:
    if len(split.train) <= _MOST_ROWS:
        return split.train
    return split.train.take(stratified_sample(split.train, _MOST_ROWS, seed))
