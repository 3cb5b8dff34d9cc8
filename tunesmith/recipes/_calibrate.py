"""What is fitted on validation rows when the model is chosen, and what it does on the test rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.config import RunConfig
from tunesmith.evaluation import (
    CalibrationSection,
    ConformalSection,
    FittedCalibration,
    SelectiveSection,
    calibration_change,
    calibration_figures,
    conformal_section,
    fit_calibration,
    fit_conformal,
    fit_scope,
    fit_selective,
    selective_section,
)
from tunesmith.recipes._fine_tune import decide
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.tasks import MultiLabelClassification, Task, TextClassification
from tunesmith.types import Dataset, Outputs

if TYPE_CHECKING:
    from tunesmith.recipes._examine import Examined

__all__ = ["assure", "calibration", "conformal", "selective"]

_MOST_ROWS = 20_000
"""More make the figures no surer than a reader needs, and take minutes of bootstrap."""


def assure(
    task: Task,
    validation: Dataset,
    scores: NDArray[np.float32],
    config: RunConfig,
    listener: Listener | None = None,
) -> Task:
    """The task with all that is fitted on validation rows: what is shipped.

    The calibration comes first, then the decision rule on calibrated probabilities, then the
    thresholds for abstaining, the quantiles for sets of labels, and what counts as in scope; these
    are taken from rows that the calibration they see was not fitted on.

    Args:
        scores: the model's raw ones for the validation rows, float32 [n, labels].
    """
    listener = listener or Silent()
    targets = task.encode(validation.targets or [])
    fitted = fit_calibration(task, scores, targets, seed=config.seed)
    if fitted is None:
        listener.say(
            f"{len(targets)} validation rows are too few to calibrate the model: its "
            "probabilities are its own, and it cannot be asked for a precision or a coverage"
        )
        return decide(task, validation, scores)
    listener.say(_described(fitted))
    rows = fitted.places
    if isinstance(task, MultiLabelClassification):
        decided = decide(replace(task, calibration=fitted.calibration), validation, scores)
        assert isinstance(decided, MultiLabelClassification)
        return replace(decided, scope=fit_scope(decided, scores[rows], fitted.held_out))
    assert isinstance(task, TextClassification)
    score = config.evaluation.conformal
    return replace(
        task,
        calibration=fitted.calibration,
        selective=fit_selective(fitted.held_out, targets[rows]),
        conformal=fit_conformal(fitted.held_out, targets[rows], score=score),
        scope=fit_scope(task, scores[rows], fitted.held_out),
    )


def _described(fitted: FittedCalibration) -> str:
    own = fitted.calibration
    before, after = fitted.losses["none"], fitted.losses[fitted.chosen]
    if own is None:
        return f"not calibrated: its own probabilities are best on validation rows ({before:.3f})"
    kind = f"temperature {1 / own.scale[0]:.2f}" if own.method == "temperature" else own.method
    return f"calibrated on validation rows ({kind}): log loss there {before:.3f} → {after:.3f}"


def calibration(subject: Examined, listener: Listener) -> CalibrationSection:
    """Calibration before and after, and whether it did any good."""
    targets, scores = _some(subject)
    own = getattr(subject.task, "calibration", None)
    plain = replace(subject.task, calibration=None)  # type: ignore[type-var]
    before, after = (
        calibration_figures(
            task,
            targets,
            _probabilities(task, scores),
            confidence=subject.confidence,
            resamples=subject.resamples,
            seed=subject.seed,
        )
        if task is not None
        else None
        for task in (plain, subject.task if own is not None else None)
    )
    assert before is not None
    method = None if own is None else own.method
    change = None
    if after is not None:
        change = calibration_change(
            targets, _probabilities(plain, scores), _probabilities(subject.task, scores),
            groups=None if subject.groups is None else subject.groups[_places(subject)],
            confidence=subject.confidence, resamples=subject.resamples, seed=subject.seed,
        )  # fmt: skip
    section = CalibrationSection(method, before, after, len(targets), subject.confidence, change)
    if section.is_worse:
        listener.warn(f"on these rows calibration did harm: {section.sentences()[0]}")
    return section


def selective(subject: Examined, listener: Listener) -> SelectiveSection | None:  # noqa: ARG001
    """Abstaining; None where a row may have several labels."""
    if not isinstance(subject.task, TextClassification):
        return None
    targets, scores = _some(subject)
    return selective_section(
        subject.task,
        targets,
        _probabilities(subject.task, scores),
        subject.task.selective,
        confidence=subject.confidence,
        resamples=subject.resamples,
        seed=subject.seed,
    )


def conformal(subject: Examined, listener: Listener) -> ConformalSection | None:  # noqa: ARG001
    """Sets of labels; None where the model has no quantiles for them."""
    if not isinstance(subject.task, TextClassification) or subject.task.conformal is None:
        return None
    targets, scores = _some(subject)
    return conformal_section(
        subject.task,
        targets,
        _probabilities(subject.task, scores),
        subject.task.conformal,
        confidence=subject.confidence,
        resamples=subject.resamples,
        seed=subject.seed,
    )


def _some(subject: Examined) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Targets and scores of all rows, or of a sample of very many."""
    rows = _places(subject)
    return subject.targets[rows], subject.scores[rows]


def _places(subject: Examined) -> NDArray[np.int64]:
    """Which rows those are."""
    num_rows = len(subject.targets)
    if num_rows <= _MOST_ROWS:
        return np.arange(num_rows)
    generator = np.random.default_rng(subject.seed)
    return np.sort(generator.choice(num_rows, _MOST_ROWS, replace=False))


def _probabilities(task: Task, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(task.probabilities(Outputs(scores=scores)), dtype=np.float64)
