"""How quickly runtimes answer on this machine, measured in turn so that all see the same of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TypeAlias

from tunesmith.types import Inputs, Outputs

__all__ = ["Speed", "choose", "measure_speed"]

Answer: TypeAlias = Callable[[Sequence[Inputs]], Outputs]


@dataclass(frozen=True, slots=True)
class Speed:
    """A runtime's speed, tokenisation included.

    Attributes:
        latency_ms: median time for one text that comes alone.
        latency_p95_ms: 95 of 100 such texts are answered within it.
        texts_per_s: median rate over rounds, in batches as serving makes them.
        rounds: latency_ms and texts_per_s of each round; those of runtimes measured together belong
            together.
    """

    latency_ms: float
    latency_p95_ms: float
    texts_per_s: float
    rounds: tuple[tuple[float, float], ...] = ()

    def as_dict(self) -> dict[str, float]:
        """The figures without the rounds."""
        return {name: value for name, value in asdict(self).items() if name != "rounds"}

    def gain(self, over: Speed) -> float:
        """How many times as fast as another: the geometric mean of latency's and rate's ratio."""
        ratio = over.latency_ms / self.latency_ms * self.texts_per_s / over.texts_per_s
        return float(ratio**0.5)

    def differs(self, other: Speed) -> bool:
        """Whether one is faster than another in every round; else they are about the same.

        By chance alone the same one leads in all of five rounds in one of sixteen cases.
        """
        gains = [
            (theirs[0] / own[0] * own[1] / theirs[1]) ** 0.5
            for own, theirs in zip(self.rounds, other.rounds, strict=True)
        ]
        return all(gain > 1 for gain in gains) or all(gain < 1 for gain in gains)


def measure_speed(
    runtimes: Mapping[str, Answer],
    singles: Sequence[Inputs],
    batches: Sequence[Sequence[Inputs]],
    *,
    rounds: int,
    on_round: Callable[[], None] = lambda: None,
) -> dict[str, Speed]:
    """Measures each runtime once a round; a shared machine is now fast, now slow.

    Args:
        runtimes: name → what answers.
        singles: texts that come alone, of the lengths that are met in earnest.
        batches: texts that come together.
    """
    latencies: dict[str, list[float]] = {name: [] for name in runtimes}
    rates: dict[str, list[float]] = {name: [] for name in runtimes}
    medians: dict[str, list[float]] = {name: [] for name in runtimes}
    num_texts = sum(map(len, batches))
    for answer in runtimes.values():  # what is compiled or reserved on first use
        answer(singles[:1])
        answer(batches[0])
    for _ in range(rounds):
        for name, answer in runtimes.items():
            for one in singles:
                started = perf_counter()
                answer([one])
                latencies[name].append(perf_counter() - started)
            medians[name].append(1e3 * statistics.median(latencies[name][-len(singles) :]))
            started = perf_counter()
            for batch in batches:
                answer(batch)
            rates[name].append(num_texts / (perf_counter() - started))
        on_round()
    return {name: _speed(latencies[name], rates[name], medians[name]) for name in runtimes}


def choose(
    speeds: Mapping[str, Speed], reference: str, latency_ms: float | None = None
) -> list[str]:
    """The runtimes, the one to prefer first.

    Args:
        speeds: of those that passed the gate, and of the reference.
        reference: the name of the one that gains are taken over.
        latency_ms: the 95th percentile of latency that is allowed. Of those within it the one that
            answers the most texts a second is first; without it, the one with the greatest gain.

    Returns:
        The names; empty where none is within the limit.
    """
    if latency_ms is not None:
        within = [name for name, own in speeds.items() if own.latency_p95_ms <= latency_ms]
        return sorted(within, key=lambda name: -speeds[name].texts_per_s)
    return sorted(speeds, key=lambda name: -speeds[name].gain(speeds[reference]))


def _speed(latencies: Sequence[float], rates: Sequence[float], medians: Sequence[float]) -> Speed:
    return Speed(
        latency_ms=1e3 * statistics.median(latencies),
        latency_p95_ms=1e3 * sorted(latencies)[int(0.95 * (len(latencies) - 1))],
        texts_per_s=statistics.median(rates),
        rounds=tuple(zip(medians, rates, strict=True)),
    )
