"""What each word of a text adds to an answer, found by asking the served model itself.

Leave-one-out (Li, Monroe and Jurafsky 2016), as `tunesmith.explanation` has it, needs nothing of a
model but its answers: so whatever runtime serves is explained as it is, quantised or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tunesmith.runtimes import Runtime
from tunesmith.serving.data_plane import Answers, DataPlane, Scores
from tunesmith.serving.refusals import Refused
from tunesmith.tasks import Task, Wanted, log_odds
from tunesmith.types import Inputs, Outputs
from tunesmith.words import Word, leave_out_each, words_of

__all__ = ["ExplainedInputs", "explain", "predict_explained"]


@dataclass(frozen=True, slots=True)
class ExplainedInputs:
    """Why one input has a label's probability.

    Attributes:
        inputs: its texts, whole.
        label, probability: what is explained; the probability is that of the whole texts.
        log_odds: ln(p / (1 - p)) of the texts as far as they are read.
        pieces: the words that were left out in turn, in the order of the texts.
        attributions: what each of them adds to the log-odds.
        words_a_piece: more than 1 where the texts have too many words to leave out each.
        num_tokens: tokens of the whole texts.
    """

    inputs: Inputs
    label: str
    probability: float
    log_odds: float
    pieces: tuple[Word, ...]
    attributions: tuple[float, ...]
    words_a_piece: int
    num_tokens: int


async def explain(
    plane: DataPlane,
    items: Sequence[object],
    *,
    label: str | None = None,
    abandoned: Callable[[], Awaitable[bool]] | None = None,
) -> list[ExplainedInputs]:
    """Explains one label of each item.

    All texts of a request are one piece of work for the batcher: others are answered in between.

    Args:
        items: what to explain; `Task.read` says what an item may be.
        label: the label to explain; None: each item's likeliest.
        abandoned: asked now and then whether nobody waits for the answer any more.

    Raises:
        Refused: an item is wrong, there are too many of them, or there is no such label.
        Overloaded: the answer would not be, or was not, there in time.
    """
    labels = plane.task.labels
    if label is not None and label not in labels:
        raise Refused(
            "invalid_request",
            "the model has no such label",
            where="label",
            mend="GET /v1/info lists them; without it the likeliest is explained",
        )
    asked = await _ask(plane, items, abandoned)
    return asked.explained(plane.task, label)


async def predict_explained(
    plane: DataPlane,
    items: Sequence[object],
    *,
    top_k: int | None = None,
    wanted: Wanted | None = None,
    abandoned: Callable[[], Awaitable[bool]] | None = None,
) -> tuple[Answers, list[ExplainedInputs]]:
    """As `DataPlane.predict`, and why each item's likeliest label is that, in one go.

    Raises:
        Refused: an item is wrong, there are too many of them, or the model cannot give what is
            wanted.
        Overloaded: the answer would not be, or was not, there in time.
    """
    plane.check(wanted)
    asked = await _ask(plane, items, abandoned)
    return plane.answers(asked.whole(), top_k, wanted), asked.explained(plane.task, None)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Inputs as they were read, and the scores of all that was asked for each, in their order."""

    readings: list[_Reading]
    starts: list[int]
    found: Scores

    def whole(self) -> Scores:
        """The scores of the whole inputs alone."""
        cut = self.found.cut
        return replace(
            self.found,
            scores=self.found.scores[self.starts],
            cut={own: cut[start] for own, start in enumerate(self.starts) if start in cut},
        )

    def explained(self, task: Task, label: str | None) -> list[ExplainedInputs]:
        """One label of each input; None: its likeliest."""
        groups = np.split(self.found.scores, self.starts[1:])
        return [
            _explained(reading, own, task, label)
            for reading, own in zip(self.readings, groups, strict=True)
        ]


async def _ask(
    plane: DataPlane,
    items: Sequence[object],
    abandoned: Callable[[], Awaitable[bool]] | None,
) -> _Asked:
    limits = plane.limits
    if len(items) > limits.explained_texts:
        raise Refused(
            "too_many_texts",
            f"{len(items):,} texts are too many to explain in one request",
            where="texts",
            mend=f"send at most {limits.explained_texts:,} at once",
        )
    inputs = plane.read(items, "texts")
    with plane.held():
        readings = await asyncio.to_thread(_read_all, plane.runtime, inputs, limits.explained_words)
        groups = [one.asked() for one in readings]
        asked = [texts for group in groups for texts in group]
        # These are no requests of their own, so they would push out of the cache what is.
        found = await plane.score(asked, abandoned=abandoned, use_cache=False)
    starts = [0, *np.cumsum([len(group) for group in groups])[:-1].tolist()]
    return _Asked(readings, starts, found)


@dataclass(frozen=True, slots=True)
class _Reading:
    """An input, whole and as far as the model reads it, and the pieces of the latter."""

    inputs: Inputs
    read: Inputs
    pieces: tuple[Word, ...]
    words_a_piece: int
    num_tokens: int

    def asked(self) -> list[Inputs]:
        """The whole, what is read of it where that is less, and this without each piece."""
        read = [] if self.read == self.inputs else [self.read]
        return [self.inputs, *read, *leave_out_each(self.read, self.pieces)]


def _read_all(runtime: Runtime, inputs: Sequence[Inputs], max_pieces: int) -> list[_Reading]:
    counts = runtime.count_tokens(inputs)
    found = []
    for one, count in zip(inputs, counts, strict=True):
        words, read = words_of(one), one
        if count > runtime.max_length:
            words, read = _as_far_as_read(runtime, one, words)
        size = -(-len(words) // max_pieces)  # rounded up
        pieces = words if size <= 1 else _joined(words, size)
        found.append(_Reading(one, read, tuple(pieces), max(1, size), count))
    return found


def _as_far_as_read(
    runtime: Runtime, inputs: Inputs, words: list[Word]
) -> tuple[list[Word], Inputs]:
    """The whole words that the model reads, and the texts that end with them.

    Of a pair the longer text is cut, as tokenizers do it: so both are cut to the same number of
    words, as far as they have so many.
    """

    def fits(most: int) -> bool:
        own = _ended(inputs, _first(words, most))
        return runtime.count_tokens([own])[0] <= runtime.max_length

    fitting, too_many = 1, 2
    while too_many < len(words) and fits(too_many):
        fitting, too_many = too_many, 2 * too_many
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fitting, too_many = (middle, too_many) if fits(middle) else (fitting, middle)
    kept = _first(words, fitting)
    return kept, _ended(inputs, kept)


def _first(words: Sequence[Word], most: int) -> list[Word]:
    """The first so many words of each text."""
    by_field = groupby(words, key=lambda word: word.field)
    return [word for _, own in by_field for word in list(own)[:most]]


def _ended(inputs: Inputs, words: Sequence[Word]) -> Inputs:
    """The texts, each up to the end of its last word."""
    ends = {word.field: word.end for word in words}
    return tuple(str(text)[: ends.get(field, 0)] for field, text in enumerate(inputs))


def _joined(words: Sequence[Word], size: int) -> list[Word]:
    """Neighbouring words of a text as pieces of so many."""
    pieces = []
    for field, group in groupby(words, key=lambda word: word.field):
        own = list(group)
        for start in range(0, len(own), size):
            piece = own[start : start + size]
            pieces.append(Word(field, piece[0].start, piece[-1].end))
    return pieces


def _explained(
    reading: _Reading, scores: NDArray[np.float32], task: Task, label: str | None
) -> ExplainedInputs:
    """From the scores of what `reading` asked."""
    probabilities = np.asarray(task.probabilities(Outputs(scores=scores)), dtype=np.float64)
    whole, read = probabilities[0], probabilities[-len(reading.pieces) - 1 :]
    place = int(whole.argmax()) if label is None else task.labels.index(label)
    several = task.objective == "binary-cross-entropy"
    odds = log_odds(read, [place] * len(read), several=several)
    return ExplainedInputs(
        inputs=reading.inputs,
        label=task.labels[place],
        probability=float(whole[place]),
        log_odds=float(odds[0]),
        pieces=reading.pieces,
        attributions=tuple((odds[0] - odds[1:]).tolist()),
        words_a_piece=reading.words_a_piece,
        num_tokens=reading.num_tokens,
    )
