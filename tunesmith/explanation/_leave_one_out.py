"""Attribution that knows nothing of the model: each word is left out in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesmith.explanation._attribution import (
    Attribution,
    Method,
    Predict,
    predict_each,
)
from tunesmith.explanation._reading import Reading
from tunesmith.tasks import log_odds
from tunesmith.types import Inputs
from tunesmith.words import leave_out_each

__all__ = ["LeaveOneOut"]

_TEXTS_TOGETHER = 2048


class LeaveOneOut:
    """What a label's log-odds lose when a word is left out (Li, Monroe and Jurafsky 2016).

    Needs nothing but a function from texts to probabilities, so any runtime will do. Words that
    could stand for each other ("refund, money back") get little each.
    """

    name: Method = "leave-one-out"
    baseline = "the same text without the word, since nothing else of the model is asked for"

    def __init__(self, predict: Predict, *, several: bool) -> None:
        """Asks nothing yet.

        Args:
            predict: examples → probabilities; it is given texts with nothing in them, too.
            several: whether an example may have several labels.
        """
        self._predict = predict
        self._several = several

    def attribute(self, readings: Sequence[Reading], labels: Sequence[int]) -> list[Attribution]:
        found: list[Attribution] = []
        for start, stop in _batches(readings):
            groups = [_left_out(reading) for reading in readings[start:stop]]
            answers = predict_each(self._predict, groups)
            for label, own in zip(labels[start:stop], answers, strict=True):
                scores = log_odds(own, [label] * len(own), several=self._several)
                found.append(Attribution(values=scores[0] - scores[1:], score=float(scores[0])))
        return found


def _left_out(reading: Reading) -> list[Inputs]:
    """The example as it is read, then without each of its words in turn."""
    return [reading.texts, *leave_out_each(reading.texts, reading.words)]


def _batches(readings: Sequence[Reading]) -> Iterator[tuple[int, int]]:
    """Neighbours whose texts make up about two thousand: where each batch starts and stops."""
    start = size = 0
    for place, reading in enumerate(readings):
        if size and size + len(reading.words) > _TEXTS_TOGETHER:
            yield start, place
            start, size = place, 0
        size += len(reading.words) + 1
    if start < len(readings):
        yield start, len(readings)
