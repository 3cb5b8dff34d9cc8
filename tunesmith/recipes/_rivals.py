"""The simple models beside a finished bundle, on rows that came after its training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith import config as config_module
from tunesmith.bases import (
    choose_device,
    find_base,
    load_tokenizer,
    new_classifier,
    score,
    tokenize,
)
from tunesmith.bundles import Bundle, read_rows
from tunesmith.data import Split
from tunesmith.errors import DataError, InputError
from tunesmith.evaluation import MajorityBaseline, Report, TfidfBaseline, smoothed_shares
from tunesmith.recipes._baselines import fit_baselines, refit_baselines
from tunesmith.recipes._judge import PROBE
from tunesmith.recipes._kept_probe import read_kept_probe
from tunesmith.recipes._lineage import reshaped, train_rows_of
from tunesmith.recipes._listener import Listener
from tunesmith.tasks import MultiLabelClassification, Task
from tunesmith.types import Dataset, Outputs

__all__ = ["Rival", "Rivals", "find_rivals"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A simple model on n rows.

    Attributes:
        task: with the decision rule that goes with it.
        probabilities: float64 [n, labels].
        seconds: what its training took.
    """

    name: str
    task: Task
    probabilities: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, slots=True)
class Rivals:
    """Those that could be asked.

    Attributes:
        missing: why others could not be.
        seconds: what the training of the bundle itself took.
    """

    asked: tuple[Rival, ...]
    missing: tuple[str, ...] = ()
    seconds: float = 0.0


def find_rivals(
    bundle: Bundle,
    trained: Report | None,
    known: Dataset | None,
    dataset: Dataset,
    listener: Listener,
) -> Rivals:
    """Asks majority class, TF-IDF + linear and the frozen base with a linear head.

    TF-IDF learns anew from the rows that the run kept, as it did in training, which takes seconds;
    the head on the frozen base is the one of the training.

    Args:
        trained: the report of the bundle's training, where it has one.
        known: the rows that it was trained on, where they are at hand.
        dataset: the rows that all are judged on.
    """
    asked, missing = _of_rows(bundle, known, dataset, listener)
    if trained is None or trained.chosen != PROBE:  # else the bundle is that model
        found = _probe(bundle, dataset, listener)
        if isinstance(found, str):
            missing.append(f"not compared with {PROBE}: {found}")
        else:
            asked.append(Rival(PROBE, *found, _seconds(trained, PROBE)))
    for reason in missing:
        listener.say(reason)
    seconds = 0.0 if trained is None else _seconds(trained, trained.chosen)
    return Rivals(tuple(asked), tuple(missing), seconds)


def _of_rows(
    bundle: Bundle, known: Dataset | None, dataset: Dataset, listener: Listener
) -> tuple[list[Rival], list[str]]:
    """What learns from the training rows; without them, what can be said all the same."""
    task = reshaped(bundle.task)
    validation = None if known is None else _validation_rows(bundle)
    if known is None or validation is None:
        reason = f"not compared with {TfidfBaseline.name}: no training rows lie beside the bundle"
        return _majority(bundle, task, len(dataset)), [reason]
    seed = int(bundle.manifest.config.get("seed", 0))
    split = Split(known, validation, dataset)
    if "refit_rows" in bundle.manifest.data:  # then the validation rows are the last of them
        unseen = replace(split, train=known.take(np.arange(len(known) - len(validation))))
        fitted = fit_baselines(task, unseen, listener, seed=seed)
        fitted = refit_baselines(fitted, task, split, seed=seed)
    else:
        fitted = fit_baselines(task, split, listener, seed=seed)
    return [Rival(one.name, one.task, one.test_probabilities, one.seconds) for one in fitted], []


def _validation_rows(bundle: Bundle) -> Dataset | None:
    facts = bundle.manifest.data
    file = train_rows_of(bundle).with_name("validation.parquet")
    try:
        return read_rows(file, facts["text"], facts["target"])
    except DataError:  # absent, another user's, or damaged
        return None


def _majority(bundle: Bundle, task: Task, num_rows: int) -> list[Rival]:
    """How often each label was found among the test rows of the training."""
    metrics = bundle.manifest.metrics
    try:
        counts = [int(metrics["labels"][label]["support"]) for label in task.labels]
        total = int(metrics["num_examples"])
    except (KeyError, TypeError, ValueError):  # made by other means
        return []
    shares = smoothed_shares(counts, total, several=isinstance(task, MultiLabelClassification))
    return [Rival(MajorityBaseline.name, task, np.tile(shares, (num_rows, 1)), 0.0)]


def _probe(
    bundle: Bundle, dataset: Dataset, listener: Listener
) -> tuple[Task, NDArray[np.float64]] | str:
    """The frozen base with the head of the training on all rows; or why that cannot be."""
    kept, facts = read_kept_probe(bundle.path.parent), bundle.manifest.base
    if kept is None:
        return "no such head lies beside the bundle"
    if kept.task.labels != bundle.task.labels or kept.base_digest != facts.digest:
        return "the head that lies beside the bundle belongs to another model"
    try:
        settings = config_module.load(bundle.path.parent / "config.yaml")
        base = find_base(settings.base.id, download=False)
    except InputError as error:
        return f"its base is not at hand ({error.faults[0]})"
    if base.digest != facts.digest:
        return f"its base {base.id} has changed since"
    listener.stage(PROBE, len(dataset))
    classifier = new_classifier(base.path, facts.pooling, kept.task.head.size, adapter=base.adapter)
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(kept.weight))
        classifier.head.bias.copy_(torch.from_numpy(kept.bias))
    classifier.to(choose_device())
    tokens = tokenize(load_tokenizer(base.path), dataset.inputs, facts.max_length)
    scores = score(classifier, tokens, on_rows=listener.advance)
    return kept.task, np.asarray(kept.task.probabilities(Outputs(scores=scores)), dtype=np.float64)


def _seconds(trained: Report | None, name: str) -> float:
    rows = () if trained is None else trained.candidates
    return next((row.seconds for row in rows if row.name == name), 0.0)
