"""One request's texts on their way through the model, a mini-batch at a time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from time import perf_counter

from tunesmith.runtimes import Runtime, answer
from tunesmith.serving.limits import Limits
from tunesmith.tasks import Wanted
from tunesmith.types import Inputs, Prediction

__all__ = ["Work", "mini_batches"]


class Work:
    """Texts that are answered mini-batch by mini-batch, each in one `step` on the inference thread.

    Attributes:
        cut: index of a text → its tokens, where these are more than the model reads.
        num_tokens: tokens that the model reads of all texts.
        queue_s: seconds spent waiting for the thread.
        inference_s: seconds spent on it.
    """

    def __init__(
        self,
        runtime: Runtime,
        inputs: Sequence[Inputs],
        limits: Limits,
        top_k: int | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        self._runtime = runtime
        self._inputs = inputs
        self._limits = limits
        self._top_k = top_k
        self._wanted = wanted
        self._batches: list[list[int]] | None = None
        self._answers: dict[int, Prediction] = {}
        self.cut: dict[int, int] = {}
        self.num_tokens = 0
        self.queue_s = 0.0
        self.inference_s = 0.0

    @property
    def done(self) -> bool:
        """Whether every text has its answer."""
        return len(self._answers) == len(self._inputs)

    def predictions(self) -> list[Prediction]:
        """The answers in the order of the texts."""
        return [self._answers[index] for index in range(len(self._inputs))]

    def step(self, submitted: float) -> None:
        """Answers the next mini-batch; the first step also orders the texts by length.

        Args:
            submitted: when this step was asked for, by `time.perf_counter`.
        """
        started = perf_counter()
        self.queue_s += started - submitted
        if self._batches is None:
            self._batches = self._plan()
        chosen = self._batches.pop()
        predictions = answer(self._runtime, [self._inputs[index] for index in chosen], self._wanted)
        for index, prediction in zip(chosen, predictions, strict=True):
            self._answers[index] = self._finished(prediction)
        self.inference_s += perf_counter() - started

    def _plan(self) -> list[list[int]]:
        longest = self._runtime.max_length
        counts = self._runtime.count_tokens(self._inputs)
        self.cut = {index: count for index, count in enumerate(counts) if count > longest}
        lengths = [min(count, longest) for count in counts]
        self.num_tokens = sum(lengths)
        limits = self._limits
        return mini_batches(lengths, max_texts=limits.batch_texts, max_tokens=limits.batch_tokens)

    def _finished(self, prediction: Prediction) -> Prediction:
        probabilities = prediction.probabilities
        if not all(map(math.isfinite, probabilities.values())):
            raise ArithmeticError("the runtime gave a probability that is not a number")
        if self._top_k is None or self._top_k >= len(probabilities):
            return prediction
        likeliest = heapq.nlargest(self._top_k, probabilities.items(), key=itemgetter(1))
        return replace(prediction, probabilities=dict(likeliest))


def mini_batches(lengths: Sequence[int], *, max_texts: int, max_tokens: int) -> list[list[int]]:
    """Places of texts, shortest first, in batches that waste little on padding.

    A batch holds at most `max_texts` texts, and at most `max_tokens` tokens once each is padded to
    its longest; a text that is longer than that stands alone.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        current = batches[-1] if batches else []
        num_texts = len(current) + 1
        if current and num_texts <= max_texts and num_texts * lengths[index] <= max_tokens:
            current.append(index)
        else:
            batches.append([index])
    return batches
