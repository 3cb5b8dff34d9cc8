"""The frozen base with a linear head: a model of its own, and where fine-tuning starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.bases import extract_features
from tunesmith.recipes._lineage import Parent, inherited_head
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.tasks import Task
from tunesmith.training import fit_linear_head
from tunesmith.types import Dataset

__all__ = ["Probe", "fit_head", "fit_probe"]

_MOST_ROWS = 100_000  # their features are 154 MB at 384 numbers a row, and the fit needs them twice


@dataclass(frozen=True, slots=True)
class Probe:
    """The frozen base with a linear head.

    Attributes:
        validation_scores, test_scores: float32 [n, labels].
        head: its weight [labels, hidden] and bias [labels], float32.
        seconds: time for features and head.
        rows_per_second: of the base, without training; how long anything takes follows from it.
        inherited: weight and bias of the parent's head, where fine-tuning goes on from that.
    """

    validation_scores: NDArray[np.float32]
    test_scores: NDArray[np.float32]
    head: tuple[Tensor, Tensor]
    seconds: float
    rows_per_second: float
    inherited: tuple[Tensor, Tensor] | None = None


def fit_probe(
    model: Model,
    tokens: TokenizedSplit,
    data: PreparedData,
    listener: Listener,
    *,
    seed: int,
    parent: Parent | None = None,
) -> Probe:
    """Fits the head on frozen features, and leaves it in the model."""
    started = time.monotonic()
    classifier, task = model.classifier, data.task
    train, train_tokens = data.split.train, tokens.train
    places = _fitted_rows(train, listener, seed)
    if places is not None:
        train, train_tokens = train.take(places), train_tokens.take(places)
    parts = (train_tokens, tokens.validation, tokens.test)
    num_rows = sum(len(part) for part in parts)
    listener.stage("frozen encoder + linear head", num_rows)
    working = classifier.at(model.precision)
    features = [extract_features(working, part, on_rows=listener.advance) for part in parts]
    rate = num_rows / max(time.monotonic() - started, 1e-9)
    targets = task.encode(train.targets or [])
    weight, bias = fit_linear_head(features[0], targets, task.head.size, task.objective)
    with torch.no_grad():
        classifier.head.weight.copy_(weight)
        classifier.head.bias.copy_(bias)
    scores = [part @ weight.numpy().T + bias.numpy() for part in features]
    inherited = inherited_head(parent, task, features[0], targets)
    seconds = time.monotonic() - started
    return Probe(scores[1], scores[2], (weight, bias), seconds, rate, inherited)


def fit_head(
    features: NDArray[np.float32], train: Dataset, task: Task, listener: Listener, *, seed: int
) -> tuple[Tensor, Tensor]:
    """The head that `fit_probe` fits, where the features of the n training rows are at hand.

    Args:
        features: float32 [n, hidden].

    Returns:
        Weight [labels, hidden] and bias [labels], float32.
    """
    places = _fitted_rows(train, listener, seed)
    if places is not None:
        train, features = train.take(places), features[places]
    targets = task.encode(train.targets or [])
    return fit_linear_head(features, targets, task.head.size, task.objective)


def _fitted_rows(train: Dataset, listener: Listener, seed: int) -> NDArray[np.int64] | None:
    """The places of the rows that a head is fitted to; None for all."""
    if len(train) <= _MOST_ROWS:
        return None
    listener.say(f"the head is fitted to {_MOST_ROWS:,} of {len(train):,} training rows")
    return stratified_sample(train, _MOST_ROWS, seed)
