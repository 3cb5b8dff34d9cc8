"""How fast a runtime is with batches of different shapes, measured where it serves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

__all__ = ["Speed", "measure_speed"]

_SIZES = (1, 2, 4, 8, 16, 32)
_LENGTHS = (16, 64, 256)
_ROUNDS = 3
_WORTH = 0.97
"""A larger batch is used where it takes at most this share of the time of smaller ones."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that a batch takes, by its size and its padded length.

    Attributes:
        seconds: padded length → batch size → seconds; each has size 1, and sizes whose batches
            were not worth it are left out.
    """

    seconds: Mapping[int, Mapping[int, float]]

    def of(self, size: int, length: int) -> float:
        """Seconds that a batch of `size` texts takes when padded to `length` tokens.

        Between measured sizes it is interpolated, beyond the largest the batches are taken one
        after the other; with the length it is taken to grow in proportion.
        """
        near, row = self._row(length)
        whole, rest = divmod(size, max(row))
        return (whole * row[max(row)] + self._part(row, rest)) * max(length, 1) / near

    @staticmethod
    def _part(row: Mapping[int, float], size: int) -> float:
        if size in row or size == 0:
            return row.get(size, 0.0)
        below = max(known for known in row if known < size)
        above = min(known for known in row if known > size)
        share = (size - below) / (above - below)
        return row[below] + share * (row[above] - row[below])

    def joins(self, size: int, length: int, other: int) -> bool:
        """Whether a text of `other` tokens costs less in a batch than alone.

        Args:
            size, length: texts in the batch, and the tokens that each is padded to.
        """
        together = self.of(size + 1, max(length, other))
        return together <= _WORTH * (self.of(size, length) + self.of(1, other))

    def largest(self, length: int) -> int:
        """The largest batch worth making of texts of this length."""
        return max(self._row(length)[1])

    def _row(self, length: int) -> tuple[int, Mapping[int, float]]:
        lengths = sorted(self.seconds)
        place = min(bisect_left(lengths, length), len(lengths) - 1)
        return lengths[place], self.seconds[lengths[place]]


def measure_speed(
    run: Callable[[int, int], object], max_length: int, *, max_texts: int, budget_s: float
) -> Speed:
    """Times batches of growing size at a few lengths, and keeps the sizes that gain something.

    Args:
        run: answers one batch of so many texts, each of about so many tokens.
        max_length: the most tokens of one text.
        max_texts: the most texts in one batch.
        budget_s: seconds after which no further shape is tried; what was not tried is not used,
            but for the smallest batch at each length, which is always timed.

    Returns:
        The medians of what was timed.
    """
    lengths = [length for length in _LENGTHS if length < max_length] or [max_length]
    ends = perf_counter() + budget_s
    found: dict[int, dict[int, float]] = {
        length: {1: _timed(run, 1, length, ends)} for length in lengths
    }
    for size in _SIZES[1:]:
        for length in lengths:
            row = found[length]
            before = max(row)
            expected = row[before] * size / before
            if size > max_texts or perf_counter() + _ROUNDS * expected > ends:
                continue
            seconds = _timed(run, size, length, ends)
            if seconds <= _WORTH * expected:
                row[size] = seconds
    return Speed(found)


def _timed(run: Callable[[int, int], object], size: int, length: int, ends: float) -> float:
    taken = []
    run(size, length)  # the first call of a shape may prepare something
    for _ in range(_ROUNDS):
        started = perf_counter()
        run(size, length)
        taken.append(perf_counter() - started)
        if perf_counter() > ends:
            break
    return sorted(taken)[len(taken) // 2]
