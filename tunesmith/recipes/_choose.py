"""Which model is shipped: the one method that the user names, or the best of several.

With `auto` methods race on the validation rows by successive halving (Jamieson & Talwalkar 2016,
arXiv:1502.07943): each trains a part of its epochs, the better half goes on to the end. Of the
finalists the simplest one is taken that is not worse than the best by more than a standard error
(Breiman et al. 1984, "Classification and Regression Trees"). Of very few rows a standard error is
so wide that this would always be the probe; there it is few-shot that has to be clearly worse.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tunesmith.config import Method, RunConfig
from tunesmith.recipes._baselines import FittedBaseline
from tunesmith.recipes._compare import is_clearly_better
from tunesmith.recipes._fine_tune import Tuned, fine_tune, fit_settings, judge_of
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._methods import has_very_few_rows, is_supervised
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._plan import Plan, make_plan, may_refit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import Probe
from tunesmith.training import EpochRecord, MetricsLog, Processes
from tunesmith.training.criteria import mean_loss

__all__ = ["Choice", "Contender", "choose_model"]

_SMALLEST_RACE = 2


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
        config: the settings, with what was left to the time that there is.
        refit: whether its method is to learn from the validation rows too before it is shipped.
        deadline: when all training has to be over, by `time.monotonic()`; None: never.
    """

    tuned: Tuned
    contenders: tuple[Contender, ...]
    config: RunConfig
    refit: bool = False
    deadline: float | None = None


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
    if method in ("probe", "auto"):  # where it is not only what training starts from
        _log_probe(untrained, data, folder)
    if method == "probe":
        return Choice(untrained, (), config, may_refit(data, config))
    plan = make_plan(
        model.classifier, probe, tokens, data, config,
        folder=folder, resume=resume, started=started,
    )  # fmt: skip
    config = plan.applied_to(config)
    budget_s = config.training.budget_s
    deadline = None if budget_s is None else started + budget_s - plan.judging_s
    race = _Race(model, probe, tokens, data, config, listener, folder, resume, plan)
    if method != "auto":
        return Choice(race.finish(method), (), config, plan.refit, deadline)
    finalists, dropped = race.run()
    preferred = [untrained, *finalists]
    if has_very_few_rows(data):  # which the probe wins by the rule alone, and seldom on other rows
        preferred.reverse()
    choice = _choice(data, config, listener, preferred, dropped, baselines, plan)
    return replace(choice, deadline=deadline)


def _log_probe(probe: Tuned, data: PreparedData, folder: Path) -> None:
    """Its figures on the validation rows, where those of every other method are found."""
    if not Processes().is_first:
        return
    loss = _validation_loss(probe, data)
    metric = judge_of(data.task, data.split.validation)(probe.validation_scores)
    log = MetricsLog(folder / "metrics.jsonl", "probe")
    log.on_start(total_steps=0, first_step=0)
    log.on_epoch(EpochRecord(0, 0, None, loss, metric, probe.seconds))
    log.on_end()


def _validation_loss(tuned: Tuned, data: PreparedData) -> float:
    scores = torch.from_numpy(tuned.validation_scores)
    targets = torch.from_numpy(data.task.encode(data.split.validation.targets or []))
    return float(mean_loss(data.task.objective, scores, targets))


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
    plan: Plan

    def run(self) -> tuple[list[Tuned], list[Tuned]]:
        """The methods that were trained to the end, and those that were dropped on the way."""
        methods = list(self.plan.methods)
        dropped: list[Tuned] = []
        rung = max(1, self.plan.epochs // 4)  # the same for all, however many epochs suit them
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
            time_limit_s=self.plan.limits_s.get(method),
        )
        epochs = f"{settings.epochs} epoch{'' if settings.epochs == 1 else 's'}"
        two_passes = self.config.training.r_drop and is_supervised(method)
        self.listener.say(
            f"{method}: {epochs}, batches of {settings.batch_size}, {settings.optimizer}, "
            f"rate {settings.learning_rate:.1e}{', R-Drop' if two_passes else ''}"
        )
        return fine_tune(
            method, self.model, self.probe, self.tokens, self.data, self.config, self.listener,
            folder=self.folder, resume=self.resume or resume, settings=settings,
            until_epoch=until_epoch,
        )  # fmt: skip


def _choice(
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
    finalists: Sequence[Tuned],
    dropped: Sequence[Tuned],
    baselines: Sequence[FittedBaseline],
    plan: Plan,
) -> Choice:
    """The first of the finalists, as they are preferred, within a standard error of the best."""
    judge = judge_of(data.task, data.split.validation)
    metrics = [judge(tuned.validation_scores) for tuned in finalists]
    ranks = [
        (metric, -_validation_loss(t, data)) for metric, t in zip(metrics, finalists, strict=True)
    ]
    best = finalists[ranks.index(max(ranks))]
    name = next(
        tuned.method
        for tuned in finalists
        if tuned is best
        or not is_clearly_better(best.validation_scores, tuned.validation_scores, data, config)
    )
    # As with the better half: all processes must go on with the same one.
    agreed = Processes().from_first(lambda: name)
    chosen = next(tuned for tuned in finalists if tuned.method == agreed)
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
    refit = plan.refit if chosen.settings else may_refit(data, config)
    return Choice(chosen, tuple(rows), config, refit)


def _say(listener: Listener, chosen: Tuned, best: Tuned, plan: Plan) -> None:
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
