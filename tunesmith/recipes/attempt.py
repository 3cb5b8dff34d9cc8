"""Training without a test: what a trial of a search does."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import find_base
from tunesmith.config import RunConfig
from tunesmith.recipes._choose import choose_model
from tunesmith.recipes._fine_tune import judge_of
from tunesmith.recipes._lineage import find_parent
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._methods import check_method, check_rows, wants_soft_labels
from tunesmith.recipes._model import build_model, tokenize_split
from tunesmith.recipes._prepare import PreparedData, prepare_data
from tunesmith.recipes._probe import fit_probe
from tunesmith.recipes._slices import extra_names
from tunesmith.training import EpochRecord

__all__ = ["Attempt", "attempt"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What some settings came to on the validation rows.

    Attributes:
        metric: the task's leading metric, 0 to 1.
        history: one entry an epoch; empty for the probe.
        seconds: from the start to the scores.
        validation_scores: float32 [n, labels].
    """

    metric: float
    history: tuple[EpochRecord, ...]
    seconds: float
    validation_scores: NDArray[np.float32] = field(repr=False)


def attempt(
    config: RunConfig,
    listener: Listener | None = None,
    *,
    folder: Path,
    data: PreparedData | None = None,
) -> Attempt:
    """Trains as `train` does, and judges on the validation rows alone.

    Args:
        folder: gets the log; checkpoints are there for the time of the training.
        data: the rows, where they were prepared before; their test part is not looked at.

    Raises:
        InputError: data, base or settings cannot be used.
        Interrupted: the user stopped it.
        TrainingError: the loss is not a number any more.
    """
    started = time.monotonic()
    listener = listener or Silent()
    check_method(config)
    base = find_base(config.base.id)
    parent = find_parent(base, config)
    if data is None:
        data = prepare_data(
            config.data, config.seed, listener, parent=parent, with_test=False, with_checks=False,
            extra=extra_names(config.evaluation),
        )  # fmt: skip
    check_rows(config, data.task, len(data.split.train))
    model = build_model(base, config, data.task, listener)
    tokens = tokenize_split(model, data, listener)
    probe = fit_probe(
        model, tokens, data, listener,
        seed=config.seed, parent=parent, soft=wants_soft_labels(config),
    )  # fmt: skip
    choice = choose_model(
        model, probe, (), tokens, data, config, listener,
        folder=folder, resume=False, started=started,
    )  # fmt: skip
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    scores = choice.tuned.validation_scores
    return Attempt(
        metric=judge_of(data.task, data.split.validation)(scores),
        history=choice.tuned.history,
        seconds=time.monotonic() - started,
        validation_scores=scores,
    )
