"""How fast a runtime is with batches of different shapes, measured where it serves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

__all__ = ["Lanes", "Speed", "measure_speeds"]

_SIZES = (1, 2, 4, 8, 16, 32)
_LENGTHS = (16, 64, 256)
_MANY = (2, 4, 16, 64, 256)
_ROUNDS = 3
_WORTH = 0.97
"""A batch is made where it takes at most this share of the time of its texts alone."""
_WORTH_BESIDE = 1.05
"""Batches go side by side where they answer so many times as many texts a second."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that a batch takes, by its size and its padded length.

    Attributes:
        seconds: padded length → batch size → seconds, as measured; each has size 1. They need not
            grow evenly: some runtimes are slower with four texts than with one after the other, and
            faster with sixteen.
    """

    seconds: Mapping[int, Mapping[int, float]]

    def of(self, size: int, length: int) -> float:
        """Seconds that a batch of `size` texts takes when padded to `length` tokens.

        A size that was not measured takes as long as the next larger one, and more than the largest
        as long as several batches; with the length it is taken to grow in proportion.
        """
        near, row = self._row(length)
        whole, rest = divmod(size, max(row))
        part = row[min(known for known in row if known >= rest)] if rest else 0.0
        return (whole * row[max(row)] + part) * max(length, 1) / near

    def best(self, lengths: Sequence[int], *, max_tokens: int) -> int:
        """How many of some texts, taken from the first on, make the batch that gains most.

        Args:
            lengths: tokens of each, the first one being in any case part of the batch.
            max_tokens: the most tokens of a batch, padding included.

        Returns:
            A measured size; 1 where no batch is worth it.
        """
        found, most = 1, 1 / _WORTH
        alone, longest = 0.0, 0
        _, row = self._row(lengths[0])
        for size, length in enumerate(lengths, start=1):
            alone += self.of(1, length)
            longest = max(longest, length)
            if size * longest > max_tokens:
                break
            together = self.of(size, longest)
            if size in row and size > 1 and alone > most * together:
                found, most = size, alone / together
        return found

    def largest(self, length: int) -> int:
        """The largest batch that was measured at this length."""
        return max(self._row(length)[1])

    def rate(self, num: int, length: int) -> float:
        """Texts a second where `num` of a length wait, in the measured size that gives most."""
        near, row = self._row(length)
        own = max(size / max(row[size], 1e-9) for size in row if size <= max(num, 1))
        return own * near / max(length, 1)

    def _row(self, length: int) -> tuple[int, Mapping[int, float]]:
        lengths = sorted(self.seconds)
        place = min(bisect_left(lengths, length), len(lengths) - 1)
        return lengths[place], self.seconds[lengths[place]]


@dataclass(frozen=True, slots=True)
class Lanes:
    """Batches side by side, each on its share of the cores.

    Attributes:
        num: how many there are.
        speed: what a batch takes while every lane is busy with one like it.
    """

    num: int
    speed: Speed

    def gain(self, alone: Speed, num_waiting: int, length: int) -> bool:
        """Whether texts of a length are sooner done side by side than one batch after the other."""
        used = min(self.num, num_waiting)
        beside = used * self.speed.rate(num_waiting // used, length)
        return beside > _WORTH_BESIDE * alone.rate(num_waiting, length)

    def ever_gain(self, alone: Speed) -> bool:
        """Whether that is so at any length, with as many texts as one likes."""
        return any(self.gain(alone, num, length) for length in alone.seconds for num in _MANY)


def measure_speeds(
    ways: Sequence[Callable[[int, int], float]],
    max_length: int,
    *,
    max_texts: int,
    budget_s: float,
) -> list[Speed]:
    """Times batches of growing size at a few lengths.

    Args:
        ways: each answers one batch of so many texts, each of about so many tokens, and gives the
            seconds that it took, without what it waited for others. They take turns, so that a
            machine that is now fast, now slow is so for all.
        max_length: the most tokens of one text.
        max_texts: the most texts in one batch.
        budget_s: seconds after which no further shape is tried; what was not tried is not used,
            but for the smallest batch at each length, which is always timed.

    Returns:
        For each way the shortest times, which are those that nothing else disturbed.
    """
    lengths = [length for length in _LENGTHS if length < max_length] or [max_length]
    ends = perf_counter() + budget_s
    found: list[dict[int, dict[int, float]]] = [{length: {} for length in lengths} for _ in ways]

    def time_all(size: int, length: int) -> None:
        for rows, seconds in zip(found, _timed(ways, size, length, ends), strict=True):
            rows[length][size] = seconds

    for length in lengths:
        time_all(1, length)
    for size in _SIZES[1:]:
        for length in lengths:
            before = max(found[0][length])
            expected = sum(rows[length][before] for rows in found) * size / before
            if size > max_texts or perf_counter() + _ROUNDS * expected > ends:
                continue
            time_all(size, length)
    return [Speed(rows) for rows in found]


def _timed(
    ways: Sequence[Callable[[int, int], float]], size: int, length: int, ends: float
) -> list[float]:
    taken: list[list[float]] = [[] for _ in ways]
    for run in ways:
        run(size, length)  # the first call of a shape may prepare something
    for _ in range(_ROUNDS):
        for run, own in zip(ways, taken, strict=True):
            own.append(run(size, length))
        if perf_counter() > ends:
            break
    return [min(own) for own in taken]
