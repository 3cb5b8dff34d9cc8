"""What follows once the choice is made, where it is asked for or there is time for it.

The chosen method learns from the validation rows too: what is fitted on them (calibration,
thresholds, sets of labels) is fitted to the model that has not seen them, and kept. The baselines
learn from the same rows, so that the comparison stays fair. AutoGluon calls it `refit_full`
(Erickson et al. 2020, arXiv:2003.06505). And it is trained several times, for a soup (`_soup.py`).
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
from tunesmith.recipes._soup import stir
from tunesmith.training import FitSettings

__all__ = ["Final", "finish"]

_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Final:
    """What is judged on the test rows and shipped.

    Attributes:
        model: with the shipped weights.
        validation_scores: float32 [n, labels], by the chosen model when it had not learned from
            the validation rows.
        tuned: how the chosen model came about.
        learned: the rows that the shipped model learned from, and those that it did not.
        seconds: time for the model, the last trainings included.
        soup: of how many trainings the weights are the mean.
    """

    model: Model
    validation_scores: NDArray[np.float32]
    tuned: Tuned
    probe: Probe
    baselines: tuple[FittedBaseline, ...]
    learned: Split
    seconds: float
    soup: int = 1

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
    """The chosen model as it is, of several trainings, or trained again on validation rows too.

    Args:
        folder: the run's.

    Raises:
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    started, tuned = time.monotonic(), choice.tuned
    work = _Work(choice, model, tokens, data, listener, folder, resume)
    # In float32, as it is served; the probe's features may have been made in another precision.
    as_chosen = Final(
        replace(model, classifier=tuned.classifier), work.validation_scores(tuned), tuned, probe,
        tuple(baselines), data.split, tuned.seconds,
    )  # fmt: skip
    final = as_chosen
    if tuned.settings is None:
        if choice.refit:
            final = _refitted_probe(as_chosen, work, parent)
    elif tuned.best_epoch > 0:
        if choice.refit:
            final = _trained_again(as_chosen, work, tuned.settings, parent)
        elif choice.soup > 1 and not tuned.out_of_time:
            final = _souped(as_chosen, work, tuned.settings, probe)
    return replace(final, seconds=tuned.seconds + time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the last trainings need."""

    choice: Choice
    model: Model
    tokens: TokenizedSplit
    data: PreparedData
    listener: Listener
    folder: Path
    resume: bool

    def validation_scores(self, tuned: Tuned) -> NDArray[np.float32]:
        self.listener.stage("scoring the validation rows", len(self.tokens.validation))
        scored = self.tokens.validation
        return score(tuned.classifier, scored, on_rows=self.listener.advance)

    def checkpoints(self, name: str) -> Path:
        """Where `fine_tune` keeps those of a training of that name."""
        return self.folder / "checkpoints" / name

    def train(
        self,
        settings: FitSettings,
        number: int,
        name: str,
        probe: Probe,
        tokens: TokenizedSplit,
        data: PreparedData,
    ) -> Tuned:
        """Training `number` of the chosen method; each has the rows in an order of its own."""
        seed = (settings.seed + number - 1) % _SEEDS
        return fine_tune(
            self.choice.tuned.method, self.model, probe, tokens, data, self.choice.config,
            self.listener,
            folder=self.folder, name=name if number == 1 else f"{name}-{number}",
            resume=self.resume, settings=replace(settings, seed=seed),
        )  # fmt: skip


def _souped(as_chosen: Final, work: _Work, settings: FitSettings, probe: Probe) -> Final:
    """The chosen model and more trainings of its method, averaged; their validation judges it."""
    choice, tuned = work.choice, as_chosen.tuned
    work.listener.say(
        f"{tuned.method} is trained {_times(choice.soup - 1)} more, with the rows in other orders, "
        "for a mean of the weights"
    )
    limit_s = choice.finish_limit_s
    settings = replace(settings, time_limit_s=limit_s and limit_s / (choice.soup - 1))
    classifier, count = stir(
        tuned,
        lambda number: work.train(
            settings, number, tuned.method, probe, work.tokens, work.data
        ),
        choice.soup, work.tokens, work.data, choice.config, work.listener,
        place=work.checkpoints(tuned.method), resume=work.resume,
    )  # fmt: skip
    souped = replace(tuned, classifier=classifier)
    return replace(
        as_chosen,
        model=replace(work.model, classifier=classifier),
        validation_scores=work.validation_scores(souped),
        soup=count,
    )


def _refitted_probe(as_chosen: Final, work: _Work, parent: Parent | None) -> Final:
    """The frozen base with a head that is fitted to the validation rows too."""
    learned = _learned(work.data.split)
    work.listener.say(_again(as_chosen.tuned, learned, ""))
    probe = refit_probe(as_chosen.probe, work.model, work.data, parent=parent)
    return replace(
        as_chosen, model=work.model, probe=probe, learned=learned,
        baselines=_refitted(as_chosen.baselines, work, learned),
    )  # fmt: skip


def _trained_again(
    as_chosen: Final, work: _Work, settings: FitSettings, parent: Parent | None
) -> Final:
    """The chosen method trained on training and validation rows, once or several times."""
    choice, tuned, tokens = work.choice, as_chosen.tuned, work.tokens
    learned = _learned(work.data.split)
    # Which epoch is the best was said by a handful of rows, where there are very few.
    epochs = settings.epochs if has_very_few_rows(work.data) else tuned.best_epoch
    times = f", {_times(choice.soup)} for a mean of the weights" if choice.soup > 1 else ""
    work.listener.say(_again(tuned, learned, f", {_epochs(epochs)}{times}"))
    probe = refit_probe(as_chosen.probe, work.model, work.data, parent=parent)
    limit_s = choice.finish_limit_s
    # The rates that led to the best epoch: a schedule of its own would fall to zero by then.
    settings = replace(
        settings, end_after=epochs, keep_last=True, patience=None,
        time_limit_s=limit_s and limit_s / choice.soup,
    )  # fmt: skip
    tokens = replace(tokens, train=tokens.train.followed_by(tokens.validation))
    data = replace(work.data, split=replace(work.data.split, train=learned.train))

    name = f"{tuned.method}-refit"

    def train(number: int) -> Tuned:
        return work.train(settings, number, name, probe, tokens, data)

    first = train(1)
    if first.out_of_time:
        work.listener.warn(
            "the time was over before the last training (on validation rows too) ended: "
            "the model is kept as it was chosen"
        )
        return as_chosen
    classifier, count = stir(
        first, train, choice.soup, tokens, data, choice.config, work.listener,
        place=work.checkpoints(name), resume=work.resume,
    )  # fmt: skip
    return replace(
        as_chosen, model=replace(work.model, classifier=classifier), probe=probe, learned=learned,
        baselines=_refitted(as_chosen.baselines, work, learned), soup=count,
    )  # fmt: skip


def _learned(split: Split) -> Split:
    return Split(joined(split.train, split.validation), split.validation.take([]), split.test)


def _refitted(
    baselines: Sequence[FittedBaseline], work: _Work, learned: Split
) -> tuple[FittedBaseline, ...]:
    whole = replace(work.data.split, train=learned.train)
    seed = work.choice.config.seed
    return refit_baselines(baselines, work.data.task, whole, seed=seed)


def _again(tuned: Tuned, learned: Split, how: str) -> str:
    return (
        f"{tuned.method} is trained again on the {len(learned.train):,} training and validation "
        f"rows together{how}"
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
