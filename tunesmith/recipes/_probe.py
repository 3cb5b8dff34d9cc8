"""The frozen base with a linear head: a model of its own, and where fine-tuning starts."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

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
from tunesmith.recipes._soft_labels import softened
from tunesmith.tasks import Task
from tunesmith.training import fit_linear_head
from tunesmith.types import Dataset

__all__ = ["Probe", "fit_head", "fit_probe", "refit_probe"]

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
        soft_labels: learned of each training row in place of its own label, float32 [n, labels].
        seen: what it was fitted on and asked with, where that is kept.
    """

    validation_scores: NDArray[np.float32]
    test_scores: NDArray[np.float32]
    head: tuple[Tensor, Tensor]
    seconds: float
    rows_per_second: float
    inherited: tuple[Tensor, Tensor] | None = None
    soft_labels: NDArray[np.float32] | None = None
    seen: _Seen | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """Frozen features, float32 [n, hidden] each, and the targets of the rows that were fitted."""

    train: NDArray[np.float32]
    validation: NDArray[np.float32]
    test: NDArray[np.float32]
    targets: NDArray[Any]


def fit_probe(
    model: Model,
    tokens: TokenizedSplit,
    data: PreparedData,
    listener: Listener,
    *,
    seed: int,
    parent: Parent | None = None,
    keep: bool = False,
    soft: bool = False,
) -> Probe:
    """Fits the head on frozen features, and leaves it in the model.

    Args:
        keep: whether the features stay in memory, for `refit_probe`.
        soft: whether labels are to be softened by those of the nearest texts.
    """
    started = time.monotonic()
    train, train_tokens = data.split.train, tokens.train
    places = None if soft else _fitted_rows(train, listener, seed)
    if places is not None:
        train, train_tokens = train.take(places), train_tokens.take(places)
    parts = (train_tokens, tokens.validation, tokens.test)
    num_rows = sum(len(part) for part in parts)
    listener.stage("frozen encoder + linear head", num_rows)
    working = model.classifier.at(model.precision)
    features = [extract_features(working, part, on_rows=listener.advance) for part in parts]
    rate = num_rows / max(time.monotonic() - started, 1e-9)
    targets = data.task.encode(train.targets or [])
    seen = _Seen(features[0], features[1], features[2], targets)
    inherited = inherited_head(parent, data.task, seen.train, seen.targets)
    head = _fitted(model, data.task, seen.train, seen.targets, inherited)
    return Probe(
        validation_scores=_scores(head, seen.validation),
        test_scores=_scores(head, seen.test),
        head=head,
        seconds=time.monotonic() - started,
        rows_per_second=rate,
        inherited=inherited,
        soft_labels=softened(seen.train, targets, data.task.head.size, listener) if soft else None,
        seen=seen if keep else None,
    )


def refit_probe(
    probe: Probe,
    model: Model,
    data: PreparedData,
    listener: Listener,
    *,
    parent: Parent | None = None,
) -> Probe:
    """Fits the head on the validation rows too, and leaves it in the model.

    The scores of the validation rows stay those of the probe that had not learned from them.

    Args:
        probe: one that keeps its features.
    """
    started, seen = time.monotonic(), probe.seen
    assert seen is not None
    features = np.concatenate([seen.train, seen.validation])
    validation = data.task.encode(data.split.validation.targets or [])
    targets = np.concatenate([seen.targets, validation])
    inherited = inherited_head(parent, data.task, features, targets)
    head = _fitted(model, data.task, features, targets, inherited)
    return replace(
        probe,
        test_scores=_scores(head, seen.test),
        head=head,
        seconds=probe.seconds + time.monotonic() - started,
        inherited=inherited,
        soft_labels=None
        if probe.soft_labels is None
        else softened(features, targets, data.task.head.size, listener),
        seen=None,
    )


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


def _fitted(
    model: Model,
    task: Task,
    features: NDArray[np.float32],
    targets: NDArray[Any],
    inherited: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """The head, near to the inherited one where there is one; left in the model as well."""
    weight, bias = fit_linear_head(
        features, targets, task.head.size, task.objective, start=inherited
    )
    with torch.no_grad():
        model.classifier.head.weight.copy_(weight)
        model.classifier.head.bias.copy_(bias)
    return weight, bias


def _scores(head: tuple[Tensor, Tensor], features: NDArray[np.float32]) -> NDArray[np.float32]:
    weight, bias = head
    scores: NDArray[np.float32] = features @ weight.numpy().T + bias.numpy()
    return scores


def _fitted_rows(train: Dataset, listener: Listener, seed: int) -> NDArray[np.int64] | None:
    """The places of the rows that a head is fitted to; None for all."""
    if len(train) <= _MOST_ROWS:
        return None
    listener.say(f"the head is fitted to {_MOST_ROWS:,} of {len(train):,} training rows")
    return stratified_sample(train, _MOST_ROWS, seed)
