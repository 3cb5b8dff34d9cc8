"""Once the choice is made, the chosen method learns from the validation rows too.

What is fitted on validation rows (calibration, thresholds, sets of labels) is fitted to the model
that has not seen them, and kept. The baselines learn from the same rows, so that the comparison
stays fair. AutoGluon calls it `refit_full` (Erickson et al. 2020, arXiv:2003.06505).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import score
from tunesmith.data import Split
from tunesmith.recipes._baselines import FittedBaseline, refit_baselines
from tunesmith.recipes._choose import Choice
from tunesmith.recipes._fine_tune import Tuned, fine_tune
from tunesmith.recipes._lineage import Parent
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._methods import has_very_few_rows
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import Probe, refit_probe
from tunesmith.recipes._sampling import joined

__all__ = ["Final", "finish"]


@dataclass(frozen=True, slots=True)
class Final:
    """What is judged on the test rows and shipped.

    Attributes:
        model: with the shipped weights.
        validation_scores: float32 [n, labels], by the chosen model when it had not learned from
            the validation rows.
        tuned: how the chosen model came about.
        learned: the rows that the shipped model learned from, and those that it did not.
        seconds: time for the model, the last training included.
    """

    model: Model
    validation_scores: NDArray[np.float32]
    tuned: Tuned
    probe: Probe
    baselines: tuple[FittedBaseline, ...]
    learned: Split
    seconds: float

    @property
    def facts(self) -> dict[str, int]:
        """What the manifest and the report say of it beside the split's sizes."""
        if len(self.learned.validation):
            return {}
        return {"refit_rows": len(self.learned.train)}


def finish(
    choice: Choice,
    model: Model,
    probe: Probe,
    baselines: Sequence[FittedBaseline],
    tokens: TokenizedSplit,
    data: PreparedData,
    listener: Listener,
    *,
    folder: Path,
    resume: bool,
    parent: Parent | None = None,
) -> Final:
    """The chosen model as it is, or trained again on training and validation rows.

    Args:
        folder: the run's.

    Raises:
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    started, tuned, config = time.monotonic(), choice.tuned, choice.config
    # In float32, as it is served; the probe's features may have been made in another precision.
    listener.stage("scoring the validation rows", len(tokens.validation))
    scores = score(tuned.classifier, tokens.validation, on_rows=listener.advance)
    as_chosen = Final(
        replace(model, classifier=tuned.classifier), scores, tuned, probe, tuple(baselines),
        data.split, tuned.seconds + time.monotonic() - started,
    )  # fmt: skip
    if not choice.refit or (tuned.settings is not None and tuned.best_epoch == 0):
        return as_chosen
    split = data.split
    learned = Split(joined(split.train, split.validation), split.validation.take([]), split.test)
    whole = replace(split, train=learned.train)
    num_epochs = tuned.best_epoch
    if tuned.settings is not None and has_very_few_rows(data):
        num_epochs = tuned.settings.epochs  # which epoch was the best was said by a handful of rows
    epochs = "" if tuned.settings is None else f", {_epochs(num_epochs)}"
    listener.say(
        f"{tuned.method} is trained again on the {len(learned.train):,} training and validation "
        f"rows together{epochs}"
    )
    again = refit_probe(probe, model, data, parent=parent)
    last = model.classifier
    if tuned.settings is not None:
        # The rates that led to the best epoch: a schedule of its own would fall to zero by then.
        settings = replace(
            tuned.settings, end_after=num_epochs, keep_last=True, patience=None,
            time_limit_s=choice.refit_limit_s,
        )  # fmt: skip
        whole_tokens = replace(tokens, train=tokens.train.followed_by(tokens.validation))
        last_one = fine_tune(
            tuned.method, model, again, whole_tokens,
            replace(data, split=whole), config, listener,
            folder=folder, name=f"{tuned.method}-refit", resume=resume,
            settings=settings,
        )  # fmt: skip
        if last_one.out_of_time:
            listener.warn(
                "the time was over before the last training (on validation rows too) ended: "
                "the model is kept as it was chosen"
            )
            return as_chosen
        last = last_one.classifier
    return Final(
        replace(model, classifier=last), scores, tuned,
        again,
        refit_baselines(baselines, data.task, whole, seed=config.seed),
        learned, tuned.seconds + time.monotonic() - started,
    )  # fmt: skip


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
