"""Each candidate's answers and speed beside those of torch in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.bundles import Bundle
from tunesmith.errors import BundleError
from tunesmith.evaluation import paired_difference
from tunesmith.optimization import Parity, Speed, Tolerances, judge_parity, measure_speed
from tunesmith.recipes._candidates import Candidate, Candidates
from tunesmith.recipes._listener import Listener
from tunesmith.runtimes import REFERENCE, Runtime
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Inputs, Outputs

__all__ = ["ROWS_CHECKED", "Comparison", "TeacherAnswers", "compare", "texts_to_measure"]

ROWS_CHECKED = 64
"""So many answers of a candidate are kept, for the written bundle to give again."""
_ALONE_ROWS = 64
_SINGLES = 20
_BATCH_TEXTS = 32
_NUM_BATCHES = 4


@dataclass(frozen=True, slots=True)
class TeacherAnswers:
    """What the teacher of a student says of the rows; no runtime of the student may fall far below.

    Attributes:
        probabilities: float64 [n, labels], of torch in float32.
    """

    task: Task
    probabilities: NDArray[np.float64]


@dataclass(slots=True)
class Comparison:
    """What was found of each candidate that runs; see `Optimized`.

    Attributes:
        answers: the reference's probabilities of the n rows, float64 [n, labels].
        checked: name → probabilities of the first rows, which the written bundle must give again.
    """

    inputs: Sequence[Inputs]
    parity: dict[str, Parity]
    speed: dict[str, Speed]
    reasons: dict[str, str]
    sizes: dict[str, int]
    answers: NDArray[np.float64]
    checked: dict[str, NDArray[np.float64]]


def compare(
    bundle: Bundle,
    found: Candidates,
    rows: Dataset,
    tolerances: Tolerances,
    device: Literal["cpu", "gpu"],
    rounds: int,
    listener: Listener,
    *,
    teacher: TeacherAnswers | None = None,
) -> Comparison:
    """Answers and speed of all candidates, and of the reference.

    Args:
        teacher: where the bundle is a student's: `max_drop` is from its teacher too, so that what
            distilling and quantising cost is not counted apart.
    """
    inputs = list(rows.inputs)
    reference = Candidate(REFERENCE, "torch", "fp32").open(bundle, None, device)
    listener.stage("comparing answers", len(inputs) * (len(found.built) + 1))
    wanted = _mixed(reference, inputs, listener)
    answers = np.asarray(bundle.task.probabilities(wanted))
    result = Comparison(inputs, {}, {}, dict(found.reasons), {}, answers, {})
    loaded: dict[str, Runtime] = {REFERENCE: reference}
    for own in found.built:
        try:
            runtime = own.open(bundle, found.tokenizer, device)
            outputs = _mixed(runtime, inputs, listener)
            alone = _alone(runtime, inputs[:_ALONE_ROWS])
        except BundleError as error:
            result.reasons[own.name] = error.faults[0].what
            continue
        loaded[own.name] = runtime
        parity = _parity(bundle, rows, wanted, outputs, alone, tolerances)
        if teacher is not None:
            parity = _held_to(teacher, parity, bundle, rows, outputs, tolerances)
        result.parity[own.name] = parity
        if own.file is not None:
            result.sizes[own.name] = own.file.stat().st_size
    for name, runtime in loaded.items():
        some = runtime.outputs(inputs[:ROWS_CHECKED])
        result.checked[name] = np.asarray(bundle.task.probabilities(some))
    listener.stage("measuring", rounds)
    result.speed = measure_speed(
        {name: runtime.outputs for name, runtime in loaded.items()},
        *texts_to_measure(reference, inputs),
        rounds=rounds,
        on_round=lambda: listener.advance(1),
    )
    return result


def _mixed(runtime: Runtime, inputs: Sequence[Inputs], listener: Listener) -> Outputs:
    """The outputs for rows that are given together as they come, of all lengths."""
    parts = []
    for start in range(0, len(inputs), _BATCH_TEXTS):
        some = inputs[start : start + _BATCH_TEXTS]
        parts.append(runtime.outputs(some))
        listener.advance(len(some))
    return _together(parts)


def _alone(runtime: Runtime, inputs: Sequence[Inputs]) -> Outputs:
    return _together([runtime.outputs([one]) for one in inputs])


def _together(parts: Sequence[Outputs]) -> Outputs:
    scores = [part.scores for part in parts if part.scores is not None]
    states = [part.states for part in parts if part.states is not None]
    return Outputs(scores=np.concatenate(scores), states=np.concatenate(states) if states else None)


def _parity(
    bundle: Bundle,
    rows: Dataset,
    wanted: Outputs,
    outputs: Outputs,
    alone: Outputs,
    tolerances: Tolerances,
) -> Parity:
    task = bundle.task
    metric = task.default_metrics[0]
    change = paired_difference(
        task,
        task.encode(rows.targets or []),
        np.asarray(task.probabilities(outputs)),
        np.asarray(task.probabilities(wanted)),
        metric=metric,
    )
    return judge_parity(task, wanted, outputs, alone, tolerances, metric=metric, change=change)


def _held_to(
    teacher: TeacherAnswers,
    parity: Parity,
    bundle: Bundle,
    rows: Dataset,
    outputs: Outputs,
    tolerances: Tolerances,
) -> Parity:
    """The same parity, refused where the metric falls too far below that of the teacher."""
    task = bundle.task
    change = paired_difference(
        task,
        task.encode(rows.targets or []),
        np.asarray(task.probabilities(outputs)),
        teacher.probabilities,
        metric=task.default_metrics[0],
        task_b=teacher.task,
    )
    drop = -100 * change.value
    if drop <= tolerances.max_drop:
        return parity
    fault = f"drops by {drop:.2f} points from the teacher, more than {tolerances.max_drop:g}"
    return replace(parity, refused_for=(*parity.refused_for, fault))


def texts_to_measure(
    runtime: Runtime, inputs: Sequence[Inputs]
) -> tuple[Sequence[Inputs], list[list[Inputs]]]:
    """Texts that come alone, and batches of texts, for `measure_speed`."""
    singles = inputs[:: max(1, len(inputs) // _SINGLES)][:_SINGLES]
    return singles, _batches(runtime, inputs)


def _batches(runtime: Runtime, inputs: Sequence[Inputs]) -> list[list[Inputs]]:
    """Texts of neighbouring lengths together, as the service orders those of one request."""
    some = inputs[: _NUM_BATCHES * _BATCH_TEXTS]
    order = np.argsort(runtime.count_tokens(some), kind="stable").tolist()
    starts = range(0, len(some), _BATCH_TEXTS)
    return [[some[place] for place in order[start : start + _BATCH_TEXTS]] for start in starts]
