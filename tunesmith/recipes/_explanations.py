"""Why the model answers some telling test rows as it does, within a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import BaseModelError
from tunesmith.evaluation import ExplainedRow, Explanations, Piece, most_confident_mistakes
from tunesmith.explanation import ExplainedText, Explainer, masked
from tunesmith.recipes._listener import Listener
from tunesmith.types import Dataset, Inputs, LabelPrediction, LabelsPrediction, Outputs

if TYPE_CHECKING:
    from tunesmith.recipes._examine import Examined

__all__ = ["explanations"]

_MISTAKES, _LABELS = 4, 6
_DRAWS = 3
_PASSES = 60
"""What explaining a row costs, in passes of that row: about twenty steps there and back."""
_VARIANTS = 1 + 10 * (1 + _DRAWS)
"""Passes that measuring a row takes."""
_ROWS_AT_ONCE = 8
_SHARE = 0.6
"""Of the time, for the explanations; the rest measures them."""
_MOST_CHARACTERS = 600


def explanations(subject: Examined, listener: Listener) -> Explanations | None:
    """The surest mistakes and a right answer of each label, word by word.

    The time of `evaluation.explanation_seconds` is kept by counting passes beforehand and by
    stopping between rows; what is left out for it is said.
    """
    limit = subject.settings.explanation_seconds
    chosen = list(_telling(subject))
    if not limit or not chosen:
        return None
    listener.stage("explaining", len(chosen))
    rows = subject.dataset.take(np.array([place for place, _ in chosen]))
    a_pass = _seconds_a_pass(subject, rows)
    if _PASSES * a_pass > _SHARE * limit:
        return _nothing(
            f"explaining one row would take about {_PASSES * a_pass:.0f} s here, and all of them "
            f"may take {limit:g} s (evaluation.explanation_seconds)"
        )
    started = time.monotonic()
    explainer, found = _explained(subject, rows, _SHARE * limit, listener)
    left = limit - (time.monotonic() - started)
    measured = found[: int(left / (_VARIANTS * a_pass))] if a_pass else found
    faithful = explainer.faithfulness(measured, draws=_DRAWS, seed=subject.seed)
    said = []
    if len(found) < len(rows):
        said.append(f"{len(found)} of {len(rows)} rows were explained in {limit:g} s")
    if faithful is None:
        said.append("whether these words are those that the model answers by was not measured")
    figures = {} if faithful is None else faithful.figures()
    return Explanations(
        method=found[0].explanations[0].method,
        rows=tuple(
            _row(text, is_right) for text, (_, is_right) in zip(found, chosen, strict=False)
        ),
        faithfulness=figures,
        num_measured=0 if faithful is None else faithful.num_rows,
        verdict="" if faithful is None else faithful.sentence(),
        left_out="; ".join(said),
    )


def _telling(subject: Examined) -> Iterator[tuple[int, bool]]:
    """Places of rows, and whether the answer is right: mistakes first, the surest first."""
    places = {int(row): place for place, row in enumerate(subject.dataset.rows)}
    wrong = most_confident_mistakes(
        subject.task, subject.dataset, subject.targets, subject.probabilities, limit=_MISTAKES
    )
    for mistake in wrong:
        yield places[mistake.row], False
    for place in _right(subject):
        yield place, True


def _right(subject: Examined) -> list[int]:
    """The surest right answer of each label, of the labels with most rows where they are many."""
    probabilities, answers = subject.probabilities, subject.task.decode(
        Outputs(scores=subject.scores)
    )  # fmt: skip
    targets: Sequence[Any] = subject.dataset.targets or []
    right = np.array(
        [_given(answer) == _set(own) for answer, own in zip(answers, targets, strict=True)]
    )
    has = _members(subject.targets, len(subject.task.labels))
    found: dict[int, None] = {}
    for label in np.argsort(-has.sum(axis=0), kind="stable")[:_LABELS].tolist():
        own = np.flatnonzero(right & has[:, label])
        if len(own):
            found[int(own[probabilities[own, label].argmax()])] = None
    return list(found)


def _members(targets: NDArray[Any], num_labels: int) -> NDArray[np.bool_]:
    """Which rows have which label, bool [n, labels]."""
    return np.asarray(targets > 0.5 if targets.ndim == 2 else targets[:, None] == range(num_labels))


def _seconds_a_pass(subject: Examined, rows: Dataset) -> float:
    """The time that a row takes among others of the length of the longest; the quicker of two."""
    longest = max(rows.inputs, key=lambda own: sum(len(str(text)) for text in own))
    taken = []
    for _ in range(2):
        started = time.monotonic()
        subject.ask([longest] * _ROWS_AT_ONCE)
        taken.append((time.monotonic() - started) / _ROWS_AT_ONCE)
    return min(taken)


def _explained(
    subject: Examined, rows: Dataset, limit: float, listener: Listener
) -> tuple[Explainer, list[ExplainedText]]:
    """As many rows as the time allows, one at least."""
    explainer = _asking(subject) if subject.explainer is None else subject.explainer()
    started, found = time.monotonic(), list[ExplainedText]()
    for place in range(len(rows)):
        one = rows.take(np.array([place]))
        try:
            found += explainer.explain(one)
        except BaseModelError:  # a tokenizer that does not tell where its tokens stand
            explainer = _asking(subject)
            found = explainer.explain(rows.take(np.arange(place + 1)))
        listener.advance(1)
        spent = time.monotonic() - started
        if spent * (place + 2) / (place + 1) > limit:
            break
    return explainer, found


def _asking(subject: Examined) -> Explainer:
    """Leaves words out, which asks for nothing but answers."""

    def predict(inputs: Sequence[Inputs]) -> NDArray[np.float64]:
        outputs = Outputs(scores=subject.ask(inputs))
        return np.asarray(subject.task.probabilities(outputs), dtype=np.float64)

    return Explainer.of_function(predict, subject.task)


def _row(text: ExplainedText, is_right: bool) -> ExplainedRow:
    shown = masked(text)
    one = shown.explanations[0]
    answer = shown.prediction
    return ExplainedRow(
        row=text.row or 0,
        is_right=is_right,
        target=text.target or (),
        predicted=answer.label if isinstance(answer, LabelPrediction) else answer.labels,
        label=one.label,
        probability=one.probability,
        fields=tuple(
            tuple(_pieces(value, [word for word in one.words if word.field == field]))
            for field, value in zip(shown.fields, shown.inputs, strict=True)
        ),
        facts=one.facts(),
        is_converged=one.attribution.is_converged,
    )


def _pieces(text: str, words: Sequence[Any]) -> Iterator[Piece]:
    """A text as its words and what stands between them, cut where it is long."""
    end = 0
    for word in words:
        if word.end > _MOST_CHARACTERS:
            break
        if word.start > end:
            yield Piece(text[end : word.start])
        yield Piece(text[word.start : word.end], word.attribution)
        end = word.end
    if rest := text[end:]:
        yield Piece(rest if len(text) <= _MOST_CHARACTERS else " …")


def _nothing(reason: str) -> Explanations:
    return Explanations("integrated-gradients", (), {}, 0, "", reason)


def _given(answer: LabelPrediction | LabelsPrediction) -> set[str]:
    return {answer.label} if isinstance(answer, LabelPrediction) else set(answer.labels)


def _set(target: Any) -> set[str]:
    return {target} if isinstance(target, str) else set(target)
