"""Parent and child on the test rows that the parent kept: what further training cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import score, tokenize
from tunesmith.config import RunConfig
from tunesmith.data import listed, overlap
from tunesmith.errors import DataError
from tunesmith.evaluation import Answers, Forgetting, evaluate, judge_forgetting
from tunesmith.recipes._baselines import FittedBaseline
from tunesmith.recipes._lineage import Parent
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import Model
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._replay import parent_rows
from tunesmith.runtimes import REFERENCE, load
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Inputs, Outputs, Target

__all__ = ["PARENT", "OldRows", "find_old_rows", "judge_parent", "measure_forgetting"]

PARENT = "base bundle, unchanged"

_NO_INTERVAL = 1  # resample: the value alone is wanted
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class OldRows:
    """The parent's test rows that both models are judged on.

    Attributes:
        num_left_out: rows that are not judged: they are training rows now, or have labels that the
            child does not have.
    """

    parent: Parent
    rows: Dataset
    num_left_out: int


def find_old_rows(parent: Parent | None, data: PreparedData, listener: Listener) -> OldRows | None:
    """What forgetting can be measured on; says what cannot, and why.

    Raises:
        DataError: the rows in the parent's bundle are not what its manifest says.
    """
    if parent is None:
        return None
    _warn_of_known_rows(parent, data, listener)
    held_out = parent.bundle.held_out()
    if held_out is None:
        listener.warn("the base bundle keeps no test rows: what is forgotten is not measured")
        return None
    old, new = parent.task, data.task
    if (old.name, len(old.fields)) != (new.name, len(new.fields)):
        listener.warn("the base bundle's task is another one: what is forgotten is not measured")
        return None
    trained_on = {row for _, row in overlap(data.split.train, held_out)}
    if trained_on:
        listener.warn(
            f"{len(trained_on):,} of the {len(held_out):,} test rows that the base bundle keeps "
            "are among the training rows: they are left out where forgetting is measured"
        )
    judged = [
        place
        for place, row in enumerate(held_out.rows.tolist())
        if row not in trained_on and _has_labels(new, (held_out.targets or ())[place])
    ]
    gone = sorted({label for label in old.labels if label not in new.labels})
    if gone and judged:
        listener.warn(
            f"the new model has no label {listed(gone)}, which its base had: what is forgotten "
            "is measured on the rows of the other labels alone"
        )
    if not judged:
        listener.warn(
            "of the base bundle's test rows none is left whose label the new model has: "
            "what is forgotten is not measured"
        )
        return None
    return OldRows(parent, held_out.take(judged), len(held_out) - len(judged))


def measure_forgetting(
    old: OldRows | None,
    model: Model,
    task: Task,
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
) -> Forgetting | None:
    """Scores the old rows with parent and child; None where there are none.

    Args:
        model: the child, as it is shipped.
        task: the child's, with its decision rule.
    """
    if old is None:
        return None
    listener.stage("what the base could do", 2 * len(old.rows))
    runtime, inputs = load(old.parent.bundle, REFERENCE), old.rows.inputs

    def after(chunk: Sequence[Inputs]) -> Outputs:
        tokens = tokenize(model.tokenizer, chunk, model.max_length)
        return Outputs(scores=score(model.classifier, tokens))

    answers = [
        Answers(own, _probabilities(own, outputs, inputs, listener))
        for own, outputs in ((runtime.task, runtime.outputs), (task, after))
    ]
    forgetting = judge_forgetting(
        old.rows.targets or (),
        *answers,
        parent=old.parent.bundle.version,
        num_left_out=old.num_left_out,
        num_replayed=data.facts.get("replay", {}).get("rows", 0),
        confidence=config.evaluation.confidence,
        resamples=config.evaluation.resamples,
        seed=config.seed,
    )
    listener.say(forgetting.sentence())
    return forgetting


def judge_parent(
    parent: Parent | None, data: PreparedData, listener: Listener
) -> list[FittedBaseline]:
    """The parent as it is, on the new rows: what further training has to beat.

    Returns:
        One entry; none where the parent's labels are not the child's.
    """
    if parent is None or not parent.keeps_head:
        return []
    validation, test = data.split.validation, data.test
    listener.stage("the base on the new rows", len(validation) + len(test))
    runtime = load(parent.bundle, REFERENCE)
    judged, tested = (
        Answers(
            runtime.task, _probabilities(runtime.task, runtime.outputs, part.inputs, listener)
        ).over(data.task.labels)
        for part in (validation, test)
    )
    targets = data.task.encode(validation.targets or [])
    figures = evaluate(judged.task, targets, judged.probabilities, resamples=_NO_INTERVAL)
    lead = figures[data.task.default_metrics[0]].value
    return [FittedBaseline(PARENT, judged.task, lead, tested.probabilities, seconds=0.0)]


def _probabilities(
    task: Task,
    outputs: Callable[[Sequence[Inputs]], Outputs],
    inputs: Sequence[Inputs],
    listener: Listener,
) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for start in range(0, len(inputs), _ROWS_AT_ONCE):
        chunk = inputs[start : start + _ROWS_AT_ONCE]
        parts.append(np.asarray(task.probabilities(outputs(chunk)), dtype=np.float64))
        listener.advance(len(chunk))
    return np.concatenate(parts)


def _has_labels(task: Task, target: Target) -> bool:
    own = (target,) if isinstance(target, str) else target
    return all(label in task.labels for label in own)


def _warn_of_known_rows(parent: Parent, data: PreparedData, listener: Listener) -> None:
    """Says where rows that judge the child are rows that its parent was trained on."""
    if not parent.train_rows.is_file():
        return
    try:
        known = parent_rows(parent)
    except DataError:
        # Its words may name folders of this machine, and warnings travel with the report.
        listener.warn("the rows that the base bundle was trained on cannot be read to compare them")
        return
    if len(known.columns) != len(data.task.fields):
        return
    for name, part in (("validation", data.split.validation), ("test", data.test)):
        if num_known := len(overlap(known, part)):
            listener.warn(
                f"{num_known:,} of {len(part):,} {name} rows ({num_known / len(part):.1%}) have a "
                "text that the base bundle was trained on: the figures will look better than they "
                f"are; --{name} FILE names rows that are new to it"
            )
