"""What follows once the choice is made, where it is asked for or there is time for it.

The chosen method learns from the validation rows too: what is fitted on them (calibration,
thresholds, sets of labels) is fitted to the model that has not seen them, and kept. The baselines
learn from the same rows, so that the comparison stays fair. AutoGluon calls it `refit_full`
(Erickson et al. 2020, arXiv:2003.06505). And it is trained several times for a soup (`_soup.py`),
as often as was asked for, or as a budget leaves time.
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
from tunesmith.recipes._compare import is_surely_better
from tunesmith.recipes._fine_tune import Tuned, fine_tune, judge_of
from tunesmith.recipes._lineage import Parent
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._methods import has_very_few_rows, make_criterion, may_be_souped
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._plan import SPARE, SUITED_SOUP
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import Probe, refit_probe
from tunesmith.recipes._sampling import joined
from tunesmith.recipes._soup import Mean, average_trainings, weights_of
from tunesmith.training import FitSettings, Processes, Rows

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
        seconds: time for the model, the last trainings included.
        trainings: of how many the weights are the mean.
        refit_epochs: of each of the last trainings; 0 where there was none, or nothing is trained.
    """

    model: Model
    validation_scores: NDArray[np.float32]
    tuned: Tuned
    probe: Probe
    baselines: tuple[FittedBaseline, ...]
    learned: Split
    seconds: float
    trainings: int = 1
    refit_epochs: int = 0

    @property
    def facts(self) -> dict[str, int]:
        """What the manifest and the report say of it beside the split's sizes."""
        facts = {} if len(self.learned.validation) else {"refit_rows": len(self.learned.train)}
        if self.refit_epochs:
            facts["refit_epochs"] = self.refit_epochs
        if self.trainings > 1:
            facts["trainings_averaged"] = self.trainings
        return facts


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
    listener.stage("scoring the validation rows", len(tokens.validation))
    # In float32, as it is served; the probe's features may have been made in another precision.
    scores = score(tuned.classifier, tokens.validation, on_rows=listener.advance)
    final = Final(
        replace(model, classifier=tuned.classifier), scores, tuned, probe, tuple(baselines),
        data.split, tuned.seconds,
    )  # fmt: skip
    work = _Work(choice, model, tokens, data, listener, folder, resume)
    if tuned.settings is None:
        if choice.refit:
            final = _refitted_probe(final, work, parent)
    elif tuned.best_epoch > 0:
        if choice.refit:
            final = _trained_again(final, work, tuned.settings, parent)
        else:
            final = _souped(final, work, tuned.settings)
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

    @property
    def time_left_s(self) -> float | None:
        """The time that there is for training; None: no limit."""
        deadline = self.choice.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def soup_wanted(self) -> int:
        """Of how many trainings the weights shall be the mean, where there is time."""
        config, method = self.choice.config, self.choice.tuned.method
        suited = SUITED_SOUP if self.choice.deadline is not None else 1
        wanted = config.training.model_soup or suited
        return wanted if may_be_souped(method, config) else 1

    def goes_on(self, count: int, training_s: float) -> bool:
        """Whether another training is made after so many; in all processes alike."""
        if count >= self.soup_wanted:
            return False
        left = self.time_left_s
        was_asked = self.choice.config.training.model_soup is not None
        fits = was_asked or left is None or training_s <= SPARE * left
        return not Processes().any(not fits)

    def train(self, settings: FitSettings, number: int, name: str, probe: Probe) -> Tuned:
        """Training `number` of the chosen method; each has the rows in an order of its own."""
        if number > 1:
            drawn = np.random.SeedSequence([settings.seed, number]).generate_state(1)
            settings, name = replace(settings, seed=int(drawn[0])), f"{name}-{number}"
            self.listener.say(f"training {number} of {self.soup_wanted}")
        return fine_tune(
            self.choice.tuned.method, self.model, probe, self.tokens, self.data,
            self.choice.config, self.listener,
            folder=self.folder, name=name, resume=self.resume,
            settings=replace(settings, time_limit_s=self.time_left_s),
        )  # fmt: skip

    def average(
        self, first: Tuned, settings: FitSettings, name: str, probe: Probe
    ) -> tuple[int, NDArray[np.float32] | None]:
        """Puts the mean of the first training and more into its model, where that is sound.

        Weights that did not end in one basin make a mean that knows nothing. The validation rows,
        even where they are learned from, tell that.

        Returns:
            Of how many trainings it is, and its scores of the validation rows, float32 [n, labels];
            1 and None where the first is as it was.
        """
        training_s = first.history[-1].seconds
        if not self.goes_on(1, training_s):
            return 1, None
        more = self.soup_wanted - 1
        self.listener.say(
            f"{first.method} is trained {_times(more)} more, with the rows in other orders, for a "
            "mean of the weights"
        )
        mean = average_trainings(
            first,
            lambda number: self.train(settings, number, name, probe),
            lambda count: self.goes_on(count, training_s),
            self.listener,
            place=self.folder / "checkpoints" / name,
            resume=self.resume,
        )
        scores = None if mean.count == 1 else self._take(mean, first, probe)
        if scores is None:
            return 1, None
        self.listener.say(f"the weights of {mean.count} trainings are averaged")
        return mean.count, scores

    def _take(self, mean: Mean, first: Tuned, probe: Probe) -> NDArray[np.float32] | None:
        """Puts the mean into the first training's model; back again where it knows far less."""
        classifier, validation = first.classifier, self.tokens.validation
        alone, before = Mean(weights_of(classifier), 1), score(classifier, validation)
        mean.put_into(classifier)
        targets = self.data.task.encode(self.data.split.train.targets or [])
        criterion = make_criterion(
            first.method, self.data.task, Rows(self.tokens.train, targets), self.choice.config,
            inherited=probe.inherited,
        )  # fmt: skip
        # A head that is fitted to the features, as few-shot's is, is fitted to those of the mean.
        criterion.before_judging(classifier)
        after = score(classifier, validation)
        is_broken = is_surely_better(before, after, self.data, self.choice.config)
        # Scores may differ in their last digits between GPUs.
        if not Processes().any(is_broken):
            return after
        self.listener.warn(
            f"the mean of {mean.count} trainings' weights is far worse on the validation rows than "
            "the first of them, which is kept"
        )
        alone.put_into(classifier)
        return None


def _souped(final: Final, work: _Work, settings: FitSettings) -> Final:
    """The chosen model and more trainings of its method, averaged."""
    tuned = final.tuned
    if tuned.out_of_time:
        if work.soup_wanted > 1:
            work.listener.say("the time given is over: no more trainings are averaged")
        return final
    count, scores = work.average(tuned, settings, tuned.method, final.probe)
    if scores is None:
        return final
    metric = judge_of(work.data.task, work.data.split.validation)(scores)
    work.listener.say(f"their mean: {metric:.1%} on the validation rows")
    return replace(final, validation_scores=scores, trainings=count)


def _refitted_probe(final: Final, work: _Work, parent: Parent | None) -> Final:
    """The frozen base with a head that is fitted to the validation rows too."""
    learned = _learned(work.data.split)
    work.listener.say(_again(final.tuned, learned))
    probe = refit_probe(final.probe, work.model, work.data, work.listener, parent=parent)
    return replace(
        final, model=work.model, probe=probe, learned=learned,
        baselines=_refitted(final.baselines, work, learned),
    )  # fmt: skip


def _trained_again(
    final: Final, work: _Work, settings: FitSettings, parent: Parent | None
) -> Final:
    """The chosen method trained on training and validation rows, once or several times."""
    tuned, tokens, split = final.tuned, work.tokens, work.data.split
    learned = _learned(split)
    # Which epoch is the best was said by a handful of rows, where there are very few.
    epochs = settings.epochs if has_very_few_rows(work.data) else tuned.best_epoch
    work.listener.say(f"{_again(tuned, learned)}, {_epochs(epochs)}")
    probe = refit_probe(final.probe, work.model, work.data, work.listener, parent=parent)
    # The rates that led to the best epoch: a schedule of its own would fall to zero by then.
    settings = replace(settings, end_after=epochs, keep_last=True, patience=None)
    again = replace(
        work,
        tokens=replace(tokens, train=tokens.train.followed_by(tokens.validation)),
        data=replace(work.data, split=replace(split, train=learned.train)),
    )
    name = f"{tuned.method}-refit"
    first = again.train(settings, 1, name, probe)
    if first.out_of_time:
        work.listener.warn(
            "the time was over before the last training (on validation rows too) ended: "
            "the model is kept as it was chosen"
        )
        return final
    count, _ = again.average(first, settings, name, probe)
    return replace(
        final, model=replace(work.model, classifier=first.classifier), probe=probe, learned=learned,
        baselines=_refitted(final.baselines, work, learned), trainings=count, refit_epochs=epochs,
    )  # fmt: skip


def _learned(split: Split) -> Split:
    return Split(joined(split.train, split.validation), split.validation.take([]), split.test)


def _refitted(
    baselines: Sequence[FittedBaseline], work: _Work, learned: Split
) -> tuple[FittedBaseline, ...]:
    whole = replace(work.data.split, train=learned.train)
    seed = work.choice.config.seed
    return refit_baselines(baselines, work.data.task, whole, seed=seed)


def _again(tuned: Tuned, learned: Split) -> str:
    return (
        f"{tuned.method} is trained again on the {len(learned.train):,} training and validation "
        "rows together"
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
