"""One fold of a cross-validation: trained without it, judged on it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from tunesmith import storage, tasks
from tunesmith.bases import find_base, score
from tunesmith.config import RunConfig
from tunesmith.data import Split
from tunesmith.recipes._baselines import fit_baselines
from tunesmith.recipes._choose import choose_model
from tunesmith.recipes._fine_tune import decide
from tunesmith.recipes._judge import FINE_TUNED, PROBE
from tunesmith.recipes._lineage import find_parent
from tunesmith.recipes._listener import Listener, Recording, Silent
from tunesmith.recipes._methods import wants_soft_labels
from tunesmith.recipes._model import build_model, tokenize_split
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._probe import fit_head, fit_probe
from tunesmith.tasks import Task
from tunesmith.training import EpochRecord
from tunesmith.types import Dataset, Outputs

__all__ = [
    "BEST_METHOD",
    "HELD_OUT",
    "TRAIN",
    "VALIDATION",
    "FoldAnswers",
    "FoldPlan",
    "FoldResult",
    "model_name",
    "run_fold",
]

BEST_METHOD = "best of several methods"
TRAIN, VALIDATION, HELD_OUT = 0, 1, 2
"""What a row is to a training, in `FoldPlan.parts`."""


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """All that the trainings of a cross-validation need, and none can change.

    Attributes:
        config: the run's settings, the precision chosen.
        num_folds: training i is of fold `i % num_folds` of repetition `i // num_folds`.
        dataset: all n rows.
        parts: int8 [trainings, n], what each row is to each training.
        features: float32 [n, hidden], the frozen base's, where the method is a probe. The base has
            seen none of the rows and learns nothing from them, so that features made once for all
            folds carry nothing from one into another.
    """

    config: RunConfig
    num_folds: int
    task: Task
    dataset: Dataset
    parts: NDArray[np.int8]
    features: NDArray[np.float32] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.parts)

    def places(self, number: int, part: int) -> NDArray[np.int64]:
        """The rows of one part of one training, in the order of the file."""
        return np.flatnonzero(self.parts[number] == part)

    def data(self, number: int) -> PreparedData:
        """The rows of one training; what is held out is its test."""
        parts = (
            self.dataset.take(self.places(number, part)) for part in (TRAIN, VALIDATION, HELD_OUT)
        )
        return PreparedData(self.task, Split(*parts), "a fold", {})

    def settings(self, number: int) -> RunConfig:
        """Every repetition has a seed of its own."""
        seed = (self.config.seed + number // self.num_folds) % 2**32
        return self.config.model_copy(update={"seed": seed})


@dataclass(frozen=True, slots=True)
class FoldAnswers:
    """What one candidate says of the m rows held out.

    Attributes:
        task: with the decision rule that was fitted to its validation rows.
        probabilities: float64 [m, labels].
    """

    task: Task
    probabilities: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What a training came to.

    Attributes:
        answers: by candidate, the model that was asked for last.
        method: how that was trained.
        warnings: said on the way.
    """

    answers: Mapping[str, FoldAnswers]
    method: str
    warnings: tuple[str, ...]
    seconds: float

    def write(self, file: Path) -> None:
        """Writes it whole or not at all.

        Raises:
            OutputError: the disk is full or may not be written.
        """
        arrays = {str(n): one.probabilities for n, one in enumerate(self.answers.values())}
        facts = {
            "names": list(self.answers),
            "tasks": [one.task.as_dict() for one in self.answers.values()],
            "method": self.method,
            "warnings": self.warnings,
            "seconds": self.seconds,
        }
        metadata = {"facts": json.dumps(facts, ensure_ascii=False)}
        storage.write_bytes(file, save(arrays, metadata=metadata))

    @classmethod
    def read(cls, file: Path) -> FoldResult:
        """What `write` wrote."""
        with safe_open(file, framework="numpy") as opened:
            facts = json.loads(opened.metadata()["facts"])
            arrays = [opened.get_tensor(str(n)) for n in range(len(facts["names"]))]
        each = zip(facts["tasks"], arrays, strict=True)
        answers = [FoldAnswers(tasks.from_dict(one), array) for one, array in each]
        named = dict(zip(facts["names"], answers, strict=True))
        return cls(named, facts["method"], tuple(facts["warnings"]), facts["seconds"])


def model_name(config: RunConfig) -> str:
    """What the candidate that was asked for is called."""
    names = {"probe": PROBE, "auto": BEST_METHOD}
    return names.get(config.training.method, FINE_TUNED)


def run_fold(plan: FoldPlan, number: int, folder: Path, listener: Listener) -> FoldResult:
    """Trains on all rows but one fold's, and asks for the answers on those.

    Choices (epoch, thresholds, method) are made on validation rows, which are of the others.

    Args:
        folder: for checkpoints and the log. A training that was cut off goes on from there.

    Raises:
        Interrupted: the user stopped it.
        TrainingError: the loss is not a number any more.
    """
    started = time.monotonic()
    heard = Recording(_Hushed(listener))
    data, config = plan.data(number), plan.settings(number)
    answers = {
        one.name: FoldAnswers(one.task, one.test_probabilities)
        for one in fit_baselines(data.task, data.split, heard, seed=config.seed)
    }
    if plan.features is not None:
        own, method = _fitted_head(plan, number, data, config, heard), "probe"
    else:
        probe, own, method = _trained(data, config, folder, heard, started)
        if model_name(config) != PROBE:
            answers[PROBE] = probe
    answers[model_name(config)] = own
    shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - started
    return FoldResult(answers, method, tuple(dict.fromkeys(heard.warnings)), seconds)


def _fitted_head(
    plan: FoldPlan, number: int, data: PreparedData, config: RunConfig, listener: Listener
) -> FoldAnswers:
    """A head on features that are there already."""
    assert plan.features is not None
    train, validation, held_out = (
        np.asarray(plan.features[plan.places(number, part)])
        for part in (TRAIN, VALIDATION, HELD_OUT)
    )
    weight, bias = fit_head(train, data.split.train, data.task, listener, seed=config.seed)
    scores = [part @ weight.numpy().T + bias.numpy() for part in (validation, held_out)]
    return _answers(data, scores[0], scores[1])


def _trained(
    data: PreparedData, config: RunConfig, folder: Path, listener: Listener, started: float
) -> tuple[FoldAnswers, FoldAnswers, str]:
    """The probe's answers, those of the model that was asked for, and how that was trained."""
    base = find_base(config.base.id)
    parent = find_parent(base, config)
    model = build_model(base, config, data.task, listener)
    tokens = tokenize_split(model, data, listener)
    probe = fit_probe(
        model, tokens, data, listener,
        seed=config.seed, parent=parent, soft=wants_soft_labels(config),
    )  # fmt: skip
    simple = _answers(data, probe.validation_scores, probe.test_scores)
    folder.mkdir(parents=True, exist_ok=True)
    choice = choose_model(
        model, probe, (), tokens, data, config, listener,
        folder=folder, resume=(folder / "plan.json").is_file(), started=started,
    )  # fmt: skip
    model = replace(model, classifier=choice.tuned.classifier)
    validation = score(model.classifier, tokens.validation)
    held_out = score(model.classifier, tokens.test)
    return simple, _answers(data, validation, held_out), choice.tuned.method


def _answers(
    data: PreparedData, validation: NDArray[np.float32], held_out: NDArray[np.float32]
) -> FoldAnswers:
    task = decide(data.task, data.split.validation, validation)
    probabilities = np.asarray(task.probabilities(Outputs(scores=held_out)), dtype=np.float64)
    return FoldAnswers(task, probabilities)


class _Hushed(Silent):
    """Passes on what is worth hearing once a fold."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_epoch(self, record: EpochRecord) -> None:
        self._listener.on_epoch(record)
