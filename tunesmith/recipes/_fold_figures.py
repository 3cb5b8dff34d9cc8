"""What the folds of a cross-validation come to: figures, and every row's answer."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import Base, available_cores
from tunesmith.config import RunConfig
from tunesmith.data import table_of, write_table
from tunesmith.evaluation import CrossValidation, FoldFigures, evaluate
from tunesmith.recipes._fold import HELD_OUT, TRAIN, VALIDATION, FoldAnswers, FoldPlan, FoldResult
from tunesmith.recipes._package import base_name, library_versions, portable
from tunesmith.tasks import MultiLabelClassification
from tunesmith.types import Metrics

__all__ = ["figures_of", "write_predictions"]

_RESAMPLES = 100  # a fold's own intervals are not used
_DECIMALS = 6
_COLUMNS = (*("repeat", "fold", "row", "truth", "label", "labels", "probability", "probabilities"),)
_DECISIONS = ("accuracy", "balanced_accuracy", "hamming_loss", "mcc")


def figures_of(
    plan: FoldPlan,
    results: Sequence[FoldResult],
    config: RunConfig,
    data: Mapping[str, Any],
    base: Base,
    notes: tuple[str, ...],
    seconds: float,
) -> CrossValidation:
    """Judges every candidate in every fold, and the one that was asked for on all rows together."""
    folds = tuple(_figures(plan, number, result, config) for number, result in enumerate(results))
    return CrossValidation(
        title=str(data["source"]),
        task=dict(plan.task.as_dict()),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        num_folds=plan.num_folds,
        repeats=len(plan) // plan.num_folds,
        candidates=tuple(results[0].answers),
        folds=folds,
        pooled=_pooled(plan, results[: plan.num_folds], config),
        confidence=config.evaluation.confidence,
        data=dict(data),
        base={"id": base_name(base.id), "family": base.family, "digest": base.digest},
        config=portable(config),
        versions=library_versions(),
        machine=f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        seconds=seconds,
        notes=notes,
    )


def write_predictions(file: Path, plan: FoldPlan, results: Sequence[FoldResult]) -> None:
    """Writes every row's answer by the model that had not seen it; a row for each repetition.

    The columns are `repeat`, `fold` (both from 1), `row` (its number in the data file), `truth`,
    and what `tunesmith predict` adds; besides, `probabilities` of all labels for one label a row
    too. Texts stay in the data file.

    Raises:
        OutputError: the disk is full, or may not be written.
    """
    columns: dict[str, list[object]] = {}
    for number, result in enumerate(results):
        for row in _predictions(plan, number, result):
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    names = [name for name in _COLUMNS if name in columns]
    table = table_of(names, [columns[name] for name in names], str(file))
    write_table(table, file, overwrite=True)


def _figures(plan: FoldPlan, number: int, result: FoldResult, config: RunConfig) -> FoldFigures:
    held_out = plan.dataset.take(plan.places(number, HELD_OUT))
    targets = plan.task.encode(held_out.targets or [])
    values = {}
    for name, own in result.answers.items():
        metrics = evaluate(
            own.task, targets, own.probabilities, resamples=_RESAMPLES, seed=config.seed
        )
        values[name] = {metric: one.value for metric, one in metrics.values.items()}
    return FoldFigures(
        repeat=number // plan.num_folds + 1,
        fold=number % plan.num_folds + 1,
        num_train=len(plan.places(number, TRAIN)),
        num_validation=len(plan.places(number, VALIDATION)),
        num_held_out=len(held_out),
        method=result.method,
        seconds=round(result.seconds, 3),
        values=values,
    )


def _pooled(plan: FoldPlan, results: Sequence[FoldResult], config: RunConfig) -> Metrics:
    """The last candidate's figures on all rows, each row judged once."""
    shape = (len(plan.dataset), len(plan.task.labels))
    probabilities, decided = np.empty(shape), np.empty(shape)
    for number, result in enumerate(results):
        own = [*result.answers.values()][-1]
        places = plan.places(number, HELD_OUT)
        probabilities[places] = own.probabilities
        decided[places] = _at_half(own)
    targets = plan.task.encode(plan.dataset.targets or [])
    settings = config.evaluation

    def judged(values: NDArray[np.float64]) -> Metrics:
        task = plan.task
        if isinstance(task, MultiLabelClassification):
            task = task.with_thresholds([0.5] * len(task.labels))
        return evaluate(
            task, targets, values,
            confidence=settings.confidence, resamples=settings.resamples, seed=config.seed,
        )  # fmt: skip

    found = judged(probabilities)
    if not isinstance(plan.task, MultiLabelClassification):
        return found
    # Every fold has thresholds of its own, and no one task has them all.
    answered = judged(decided)
    values = {
        name: answered[name] if _is_of_decisions(name) else one
        for name, one in found.values.items()
    }
    return Metrics(values, found.num_examples, answered.labels, found.confidence)


def _at_half(own: FoldAnswers) -> NDArray[np.float64]:
    """Probabilities, stretched so that a label is given from 0.5 on; one label a row: as they are.

    [m, labels]; the order within a label stays.
    """
    if not isinstance(own.task, MultiLabelClassification):
        return own.probabilities
    cut = np.array(own.task.thresholds or (0.5,) * len(own.task.labels))
    below = 0.5 * own.probabilities / np.maximum(cut, 1e-300)
    above = 0.5 + 0.5 * (own.probabilities - cut) / np.maximum(1 - cut, 1e-300)
    given = own.probabilities >= cut
    return np.asarray(
        np.where(given, np.minimum(above, 1.0), np.minimum(below, np.nextafter(0.5, 0)))
    )


def _is_of_decisions(metric: str) -> bool:
    """Whether a metric follows from the labels given, whatever the probabilities."""
    if metric.endswith("average_precision"):
        return False
    return metric in _DECISIONS or metric.endswith(("_f1", "_precision", "_recall"))


def _predictions(plan: FoldPlan, number: int, result: FoldResult) -> Iterator[dict[str, object]]:
    own = [*result.answers.values()][-1]
    held_out = plan.dataset.take(plan.places(number, HELD_OUT))
    targets, labels = held_out.targets or [], plan.task.labels
    fold = {"repeat": number // plan.num_folds + 1, "fold": number % plan.num_folds + 1}
    for place, chances in enumerate(own.probabilities):
        shown = dict(zip(labels, np.round(chances, _DECIMALS).tolist(), strict=True))
        row = {**fold, "row": int(held_out.rows[place]), "probabilities": shown}
        if isinstance(own.task, MultiLabelClassification):
            given = chances >= np.array(own.task.thresholds or (0.5,) * len(labels))
            row |= {"truth": list(targets[place])}
            row |= {"labels": [labels[n] for n in np.flatnonzero(given)]}
        else:
            best = int(chances.argmax())
            row |= {"truth": targets[place]}
            row |= {"label": labels[best], "probability": float(chances[best])}
        yield row
