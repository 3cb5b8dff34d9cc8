"""Which model is shipped: the one method that the user names, or the best of several.

With `auto` methods race on the validation rows by successive halving (Jamieson & Talwalkar 2016,
arXiv:1502.07943): each trains a part of its epochs, the better half goes on to the end. Of the
finalists the simplest one is taken that is not worse than the best by more than a standard error
(Breiman et al. 1984, "Classification and Regression Trees").
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tunesmith import storage
from tunesmith.config import Method, RunConfig
from tunesmith.errors import ConfigError
from tunesmith.recipes._baselines import FittedBaseline
from tunesmith.recipes._compare import is_clearly_better
from tunesmith.recipes._fine_tune import (
    Tuned,
    fine_tune,
    fit_settings,
    judge_of,
    suited_epochs,
)
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._methods import racing_methods
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import Probe
from tunesmith.training import Processes

__all__ = ["Choice", "Contender", "choose_model", "wants_refit"]

_FULL_COSTS = 3.6  # times a pass without training: forward, backward, update (docs/log.md)
_SMALLEST_RACE = 2
_FEW_ROWS = 2_000
_SPARE = 0.85  # of the time left: machines are noisy


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the race's table.

    Attributes:
        metric: the task's leading metric on the validation rows; None where it was not trained.
        seconds: time that it took, or would take where it was not trained.
        verdict: "chosen", or why not.
    """

    name: str
    metric: float | None
    epochs: int
    seconds: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that is chosen, and all that were tried for it.

    Attributes:
        refit: whether its method is to learn from the validation rows too before it is shipped.
    """

    tuned: Tuned
    contenders: tuple[Contender, ...]
    refit: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which methods race for how many epochs; kept on disk, for it rests on measured times."""

    methods: tuple[Method, ...]
    epochs: int
    left_out: tuple[tuple[Method, float], ...]  # with the seconds that each would have taken
    limit_s: float | None
    refit: bool


def choose_model(
    model: Model,
    probe: Probe,
    baselines: Sequence[FittedBaseline],
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
    *,
    folder: Path,
    resume: bool,
    started: float,
) -> Choice:
    """Trains what the method asks for, and chooses on validation rows alone.

    Args:
        folder: the run's.
        started: `time.monotonic()` at the start of the run, from which the budget counts.

    Raises:
        ConfigError: the budget does not suffice for the method that was named.
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    method = config.training.method
    untrained = Tuned(
        "probe", model.classifier, probe.validation_scores, (), 0, None, probe.seconds
    )
    if method == "probe":
        return Choice(untrained, (), wants_refit(data, config))
    plan = _plan(probe, tokens, data, config, folder=folder, resume=resume, started=started)
    race = _Race(model, probe, tokens, data, config, listener, folder, resume, plan)
    if method != "auto":
        return Choice(race.finish(method), (), plan.refit)
    finalists, dropped = race.run()
    return _choice(data, config, listener, [untrained, *finalists], dropped, baselines, plan)


@dataclass(frozen=True, slots=True)
class _Race:
    """What each method's training needs."""

    model: Model
    probe: Probe
    tokens: TokenizedSplit
    data: PreparedData
    config: RunConfig
    listener: Listener
    folder: Path
    resume: bool
    plan: _Plan

    def run(self) -> tuple[list[Tuned], list[Tuned]]:
        """The methods that were trained to the end, and those that were dropped on the way."""
        methods = list(self.plan.methods)
        dropped: list[Tuned] = []
        rung = max(1, self.plan.epochs // 4)
        if len(methods) >= _SMALLEST_RACE and rung < self.plan.epochs:
            trials = [self._train(method, until_epoch=rung) for method in methods]
            methods = self._better_half(trials)
            dropped = [trial for trial in trials if trial.method not in methods]
        resumed = bool(dropped)
        return [self._train(method, resume=resumed) for method in methods], dropped

    def finish(self, method: Method) -> Tuned:
        return self._train(method)

    def _better_half(self, trials: Sequence[Tuned]) -> list[Method]:
        judge = judge_of(self.data.task, self.data.split.validation)
        order = sorted(trials, key=lambda trial: judge(trial.validation_scores), reverse=True)
        kept = [trial.method for trial in order[: (len(order) + 1) // 2]]
        # Scores may differ in their last digits between GPUs; all must go on with the same methods.
        agreed: list[Method] = json.loads(Processes().from_first(lambda: json.dumps(kept)))
        return agreed

    def _train(
        self, method: Method, *, until_epoch: int | None = None, resume: bool = False
    ) -> Tuned:
        settings = fit_settings(
            method,
            self.config,
            self.model,
            len(self.data.split.train),
            epochs=self.plan.epochs,
            time_limit_s=self.plan.limit_s,
        )
        epochs = f"{settings.epochs} epoch{'' if settings.epochs == 1 else 's'}"
        self.listener.say(
            f"{method}: {epochs}, batches of {settings.batch_size}, {settings.optimizer}, "
            f"rate {settings.learning_rate:.1e}"
        )
        return fine_tune(
            method, self.model, self.probe, self.tokens, self.data, self.config, self.listener,
            folder=self.folder, resume=self.resume or resume, settings=settings,
            until_epoch=until_epoch,
        )  # fmt: skip


def _plan(
    probe: Probe,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    *,
    folder: Path,
    resume: bool,
    started: float,
) -> _Plan:
    """Decides what fits into the budget; a resumed run takes the decision of the first one.

    It rests on measured times, so that process 0 decides for all that train together.
    """
    file = folder / "plan.json"

    def decide_once() -> str:
        if not (resume and file.is_file()):
            plan = _new_plan(probe, tokens, data, config, started)
            storage.write_bytes(file, json.dumps(asdict(plan)).encode())
        return file.read_text(encoding="utf-8")

    saved = json.loads(Processes().from_first(decide_once))
    left_out = tuple((name, seconds) for name, seconds in saved["left_out"])
    return _Plan(
        tuple(saved["methods"]), saved["epochs"], left_out, saved["limit_s"], saved["refit"]
    )


def _new_plan(
    probe: Probe, tokens: TokenizedSplit, data: PreparedData, config: RunConfig, started: float
) -> _Plan:
    training = config.training
    methods = racing_methods(data) if training.method == "auto" else (training.method,)
    num_rows = len(tokens.train)
    wanted, refit = training.epochs or suited_epochs(num_rows), wants_refit(data, config)
    if training.budget_s is None:
        return _Plan(methods, wanted, (), None, refit)
    epoch_s = _FULL_COSTS * num_rows / probe.rows_per_second
    judging_s = 2 * (len(tokens.validation) + len(tokens.test)) / probe.rows_per_second
    left = training.budget_s - (time.monotonic() - started) - judging_s
    fitting = int(_SPARE * left / epoch_s)
    if fitting < 1 and training.method != "auto":
        raise ConfigError(
            f"{training.budget_s:.0f} s are too few for one epoch of {training.method}, which "
            f"takes about {epoch_s:.0f} s here, after {time.monotonic() - started:.0f} s so far",
            where="training.budget_s",
            mend=f"--budget {training.budget_s - left + 1.3 * epoch_s:.0f}s, or --method probe, "
            "which fits",
        )
    if fitting < 1:
        left_out = tuple((name, epoch_s * wanted) for name in methods)
        return _Plan((), 0, left_out, None, refit=False)
    # The methods share the time; where it does not suffice for all, the most general one is kept.
    always = int(training.refit == "always")  # then the last training has its share from the start
    fits = methods if fitting >= (len(methods) + always) * min(wanted, 2) else methods[:1]
    epochs = min(wanted, max(1, fitting // (len(fits) + always)))
    left_out = tuple((name, epoch_s * epochs) for name in methods if name not in fits)
    # Else it gets only what no other one would have used.
    enough = fits == methods and fitting >= (len(fits) + 1) * wanted
    refit = bool(always) or (refit and enough)
    return _Plan(fits, epochs, left_out, left / (len(fits) + refit), refit)


def wants_refit(data: PreparedData, config: RunConfig) -> bool:
    """Whether the chosen method learns from the validation rows too, if there is time.

    In a small file they are many of all rows, and a training more costs little.
    """
    if config.training.refit == "auto":
        num_rows = len(data.split.train) + len(data.split.validation)
        return config.data.validation is None and num_rows <= _FEW_ROWS
    return config.training.refit == "always"


def _choice(
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
    finalists: Sequence[Tuned],
    dropped: Sequence[Tuned],
    baselines: Sequence[FittedBaseline],
    plan: _Plan,
) -> Choice:
    """The simplest finalist (they stand from simple to not) within a standard error of the best."""
    judge = judge_of(data.task, data.split.validation)
    metrics = [judge(tuned.validation_scores) for tuned in finalists]
    best = finalists[int(np.argmax(metrics))]
    chosen = next(
        tuned
        for tuned in finalists
        if tuned is best
        or not is_clearly_better(best.validation_scores, tuned.validation_scores, data, config)
    )
    rows = [
        Contender(one.name, one.validation_metric, 0, one.seconds, "baseline") for one in baselines
    ]
    for tuned, metric in zip(finalists, metrics, strict=True):
        if tuned is chosen:
            verdict = "chosen" if tuned is best else "chosen: within a standard error of the best"
        else:
            verdict = "best, but not clearly" if tuned is best else "not chosen"
        rows.append(Contender(tuned.method, metric, tuned.epochs, tuned.seconds, verdict))
    rows += [
        Contender(t.method, judge(t.validation_scores), t.epochs, t.seconds, "dropped on the way")
        for t in dropped
    ]
    rows += [
        Contender(name, None, 0, seconds, "would not fit into the budget")
        for name, seconds in plan.left_out
    ]
    _say(listener, chosen, best, plan)
    refit = plan.refit if chosen.settings else wants_refit(data, config)
    return Choice(chosen, tuple(rows), refit)


def _say(listener: Listener, chosen: Tuned, best: Tuned, plan: _Plan) -> None:
    if not plan.methods:
        listener.warn("the budget does not suffice for fine-tuning: the frozen encoder is kept")
    elif chosen.method == "probe":
        reason = "no better" if best is chosen else "better by less than a standard error"
        listener.warn(
            f"fine-tuning was {reason} than the frozen encoder on the validation rows: "
            "the frozen encoder with its linear head is kept"
        )
    else:
        listener.say(f"{chosen.method} is chosen on the validation rows")
