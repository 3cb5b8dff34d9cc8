"""What there is time for: which methods race, for how many epochs, and how thoroughly.

Without a budget nothing costly is done. With one, time that the methods leave over goes into what
makes the result better, in the order of what it gains for its time: a last training on the
validation rows too, a soup of several, R-Drop in all of them. Whether there is time for a soup is
seen when it comes to that (`_finish.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tunesmith import storage
from tunesmith.bases import Classifier
from tunesmith.config import Method, RunConfig
from tunesmith.errors import ConfigError
from tunesmith.recipes._fine_tune import suited_epochs
from tunesmith.recipes._methods import is_supervised, may_be_souped, racing_methods
from tunesmith.recipes._model import TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import Probe
from tunesmith.training import Processes

__all__ = ["SPARE", "SUITED_SOUP", "TRAINING_COSTS", "Plan", "make_plan", "may_refit"]

TRAINING_COSTS = 3.6
"""Times a pass without training: forward, backward, update (docs/log.md)."""
SPARE = 0.85
"""Of the time left, what is planned with: machines are noisy."""

SUITED_SOUP = 3
"""Trainings of a soup that nobody gave a number for."""

_R_DROP_COSTS = 2.2  # times a training without: two passes, and dropout
_SUITED_R_DROP = 1.0
_FEW_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done; kept on disk, for it rests on measured times.

    Attributes:
        methods: that race; a named one alone.
        epochs: of each.
        left_out: methods that do not fit, with the seconds that each would have taken.
        limits_s: time for each method's training; nothing where there is no budget.
        refit: whether the chosen method is to learn from the validation rows too.
        r_drop: weight of the difference between two passes; 0: one pass.
        judging_s: time that is kept for what follows all training.
    """

    methods: tuple[Method, ...]
    epochs: int
    left_out: tuple[tuple[Method, float], ...]
    limits_s: Mapping[Method, float]
    refit: bool
    r_drop: float
    judging_s: float = 0.0

    def applied_to(self, config: RunConfig) -> RunConfig:
        """The settings, with R-Drop where there is time for it."""
        if not self.r_drop:
            return config
        training = config.training.model_copy(update={"r_drop": self.r_drop})
        return config.model_copy(update={"training": training})


@dataclass(frozen=True, slots=True)
class _Time:
    """Seconds: of an epoch of plain training, spent so far, left for training, and of judging."""

    epoch: float
    spent: float
    left: float
    judging: float = 0.0

    @property
    def num_epochs(self) -> float:
        """How many epochs of plain training fit."""
        return SPARE * self.left / self.epoch


@dataclass(frozen=True, slots=True)
class _Way:
    """How thoroughly methods are trained.

    Attributes:
        soup: of how many trainings the shipped weights are the mean, where time is kept for it.
        growth: of the rows in the last training, to which the validation rows come.
    """

    r_drop: float
    refit: bool
    soup: int
    growth: float

    def cost(self, method: Method) -> float:
        """Time of an epoch of a method; 1: of a plain one."""
        return _R_DROP_COSTS if self.r_drop and is_supervised(method) else 1.0

    def finish_cost(self, methods: Sequence[Method]) -> float:
        """The same of all trainings after the choice, whichever method is chosen."""
        trainings = self.soup * self.growth if self.refit else self.soup - 1
        return trainings * max(map(self.cost, methods))

    def costs(self, methods: Sequence[Method]) -> float:
        """The same of all methods, and of what comes after the choice."""
        return sum(map(self.cost, methods)) + self.finish_cost(methods)


def make_plan(
    classifier: Classifier,
    probe: Probe,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    *,
    folder: Path,
    resume: bool,
    started: float,
) -> Plan:
    """Decides what fits into the budget; a resumed run takes the decision of the first one.

    It rests on measured times, so that process 0 decides for all that train together.

    Args:
        folder: the run's.
        started: `time.monotonic()` at the start of the run, from which the budget counts.

    Raises:
        ConfigError: the budget does not suffice for the method that was named.
    """
    file = folder / "plan.json"

    def decide_once() -> str:
        if not (resume and file.is_file()):
            plan = _new_plan(classifier, probe, tokens, data, config, started)
            storage.write_bytes(file, json.dumps(asdict(plan)).encode())
        return file.read_text(encoding="utf-8")

    saved = json.loads(Processes().from_first(decide_once))
    left_out = tuple((name, seconds) for name, seconds in saved.pop("left_out"))
    return Plan(tuple(saved.pop("methods")), left_out=left_out, **saved)


def may_refit(data: PreparedData, config: RunConfig) -> bool:
    """Whether the chosen method learns from the validation rows too, if there is time.

    In a small file they are many of all rows, and a training more costs little; of a larger one
    they are few, and only time that was given is spent on them.
    """
    if config.training.refit != "auto":
        return config.training.refit == "always"
    return config.data.validation is None and (
        _has_few_rows(data) or config.training.budget_s is not None
    )


def _has_few_rows(data: PreparedData) -> bool:
    return len(data.split.train) + len(data.split.validation) <= _FEW_ROWS


def _new_plan(
    classifier: Classifier,
    probe: Probe,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    started: float,
) -> Plan:
    training = config.training
    methods = racing_methods(data) if training.method == "auto" else (training.method,)
    num_rows = len(tokens.train)
    wanted = training.epochs or suited_epochs(num_rows)
    if training.budget_s is None:
        refit = may_refit(data, config)
        return Plan(methods, wanted, (), {}, refit, training.r_drop or 0.0)
    judging_s = 2 * (len(tokens.validation) + len(tokens.test)) / probe.rows_per_second
    spent = time.monotonic() - started
    seconds = _Time(
        epoch=TRAINING_COSTS * num_rows / probe.rows_per_second,
        spent=spent,
        left=training.budget_s - spent - judging_s,
        judging=judging_s,
    )
    ways = _ways(classifier, data, config, methods)
    for way in ways:
        if wanted * way.costs(methods) <= seconds.num_epochs:
            return _plan(way, methods, wanted, (), seconds)
    return _less(ways[-1], methods, wanted, seconds, config)


def _ways(
    classifier: Classifier, data: PreparedData, config: RunConfig, methods: Sequence[Method]
) -> list[_Way]:
    """What the settings leave open, the best first; R-Drop where there is time for all else too."""
    training = config.training
    refits = [training.refit == "always"]
    if training.refit == "auto" and may_refit(data, config):
        refits = [True, False]
    growth = 1 + len(data.split.validation) / max(len(data.split.train), 1)
    given, soup = training.r_drop or 0.0, training.model_soup or 1
    ways = [_Way(given, refit, soup, growth) for refit in refits]
    if training.r_drop is None and _suits_r_drop(classifier, config, methods):
        if training.model_soup is None and all(may_be_souped(one, config) for one in methods):
            soup = SUITED_SOUP
        ways.insert(0, _Way(_SUITED_R_DROP, refits[0], soup, growth))
    return ways


def _suits_r_drop(classifier: Classifier, config: RunConfig, methods: Sequence[Method]) -> bool:
    training = config.training
    if training.dropout == 0 or training.packing or not classifier.dropout:
        return False
    # last-k would lose the states that it keeps, and with them more time than R-Drop takes.
    return any(is_supervised(method) and method != "last-k" for method in methods)


def _less(
    way: _Way, methods: tuple[Method, ...], wanted: int, seconds: _Time, config: RunConfig
) -> Plan:
    """What still fits where the time does not suffice for all epochs of all methods.

    Raises:
        ConfigError: not one epoch of the method that was named does.
    """
    fitting, one = seconds.num_epochs, way.costs(methods[:1])
    if fitting < one:
        if config.training.method != "auto":
            raise _too_short(one * seconds.epoch, seconds, config)
        left_out = tuple((name, seconds.epoch * wanted) for name in methods)
        return Plan((), 0, left_out, {}, refit=False, r_drop=0.0)
    # The methods share the time; where it does not suffice for all, the most general one is kept.
    fits = methods if fitting >= min(wanted, 2) * way.costs(methods) else methods[:1]
    epochs = min(wanted, int(fitting / way.costs(fits)))
    left_out = tuple((name, seconds.epoch * epochs) for name in methods if name not in fits)
    return _plan(way, fits, epochs, left_out, seconds)


def _too_short(epoch_s: float, seconds: _Time, config: RunConfig) -> ConfigError:
    method, budget_s = config.training.method, config.training.budget_s or 0.0
    soup = config.training.model_soup or 1
    of_all = f" in {soup} trainings" if soup > 1 else ""
    return ConfigError(
        f"{budget_s:.0f} s are too few for one epoch of {method}, which takes about "
        f"{epoch_s:.0f} s here{of_all}, after {seconds.spent:.0f} s so far",
        where="training.budget_s",
        mend=f"--budget {budget_s - seconds.left + 1.3 * epoch_s:.0f}s, or --method probe, "
        "which fits" + (", or --set training.model_soup=1" if soup > 1 else ""),
    )


def _plan(
    way: _Way,
    methods: tuple[Method, ...],
    epochs: int,
    left_out: tuple[tuple[Method, float], ...],
    seconds: _Time,
) -> Plan:
    unit_s = seconds.left / way.costs(methods)
    limits_s = {method: way.cost(method) * unit_s for method in methods}
    return Plan(methods, epochs, left_out, limits_s, way.refit, way.r_drop, seconds.judging)
