"""The cheap models that every other one has to beat."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.config import RunConfig
from tunesmith.evaluation import MajorityBaseline, TfidfBaseline, choose_thresholds
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._prepare import PreparedData
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
    data: PreparedData, config: RunConfig, listener: Listener
) -> tuple[FittedBaseline, ...]:
    """Fits majority class and TF-IDF + linear."""
    from sklearn.metrics import accuracy_score, f1_score

    listener.stage("baselines")
    num_rows = len(data.split.train)
    if num_rows > _MOST_ROWS:
        listener.say(f"the baselines learn from {_MOST_ROWS:,} of {num_rows:,} training rows")
    train = _learned_from(data, config)
    targets = data.task.encode(train.targets or [])
    wanted = data.task.encode(data.split.validation.targets or [])
    fitted: list[FittedBaseline] = []
    for baseline in _untrained(data, config):
        started = time.monotonic()
        baseline.fit(train, targets)
        validation = baseline.probabilities(data.split.validation)
        task = data.task
        if isinstance(task, MultiLabelClassification):
            thresholds = choose_thresholds(wanted, validation)
            task = task.with_thresholds(thresholds)
            answers = validation >= np.array(thresholds)
            metric = f1_score(wanted, answers, average="macro", zero_division=0)
        else:
            metric = accuracy_score(wanted, validation.argmax(axis=1))
        probabilities = baseline.probabilities(data.test)
        seconds = time.monotonic() - started
        fitted.append(FittedBaseline(baseline.name, task, float(metric), probabilities, seconds))
    return tuple(fitted)


def refit_baselines(
    fitted: tuple[FittedBaseline, ...], data: PreparedData, config: RunConfig
) -> tuple[FittedBaseline, ...]:
    """The same baselines, of which those that can have learned from the training rows of `data`.

    Their decision rules and validation figures stay what they were.
    """
    train = _learned_from(data, config)
    targets = data.task.encode(train.targets or [])
    by_name = {baseline.name: baseline for baseline in _untrained(data, config)}
    refitted: list[FittedBaseline] = []
    for one in fitted:
        started = time.monotonic()
        baseline = by_name.get(one.name)
        if baseline is None:  # a parent bundle stays as it is
            refitted.append(one)
            continue
        baseline.fit(train, targets)
        probabilities = baseline.probabilities(data.test)
        seconds = one.seconds + time.monotonic() - started
        refitted.append(replace(one, test_probabilities=probabilities, seconds=seconds))
    return tuple(refitted)


def _untrained(
    data: PreparedData, config: RunConfig
) -> tuple[MajorityBaseline | TfidfBaseline, ...]:
    labels = data.task.labels
    return MajorityBaseline(labels), TfidfBaseline(labels, seed=config.seed)


def _learned_from(data: PreparedData, config: RunConfig) -> Dataset:
    train = data.split.train
    if len(train) <= _MOST_ROWS:
        return train
    return train.take(stratified_sample(train, _MOST_ROWS, config.seed))
