"""The last ten seconds in figures, for whoever looks at the server now."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

__all__ = ["WINDOW_S", "Figures", "Recent"]

WINDOW_S = 10.0
_MOST = 4_096
"""Requests that are looked back on; of a busier server, the last of the ten seconds."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a server did lately.

    Attributes:
        requests_per_second: requests whose texts were answered.
        rejects_per_second: requests that were refused, for whatever reason.
        latency_p50_s, latency_p99_s: whole time of the answered ones; None where there were none.
        batch_texts: texts that went through the model together, on average; None likewise.
    """

    requests_per_second: float
    rejects_per_second: float
    latency_p50_s: float | None
    latency_p99_s: float | None
    batch_texts: float | None


class Recent:
    """Looks back over `WINDOW_S`, in bounded memory; it can be added to from any thread.

    Prometheus has the same figures by `rate` and `histogram_quantile`. Here the percentiles are
    exact, and need nobody who has asked before.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._answers: deque[tuple[float, float]] = deque(maxlen=_MOST)
        self._rejects: deque[tuple[float, float]] = deque(maxlen=_MOST)
        self._batches: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def add_answer(self, seconds: float) -> None:
        """Notes an answered request and its whole time."""
        self._answers.append((self._now(), seconds))

    def add_reject(self) -> None:
        """Notes a refused request."""
        self._rejects.append((self._now(), 0.0))

    def add_batch(self, num_texts: int) -> None:
        """Notes a batch."""
        self._batches.append((self._now(), float(num_texts)))

    def figures(self) -> Figures:
        """The figures of now."""
        answers, rejects, batches = (
            self._lately(those) for those in (self._answers, self._rejects, self._batches)
        )
        seconds = sorted(value for _, value in answers)
        return Figures(
            requests_per_second=self._rate(answers),
            rejects_per_second=self._rate(rejects),
            latency_p50_s=_percentile(seconds, 50),
            latency_p99_s=_percentile(seconds, 99),
            batch_texts=statistics.fmean(value for _, value in batches) if batches else None,
        )

    def _lately(self, those: deque[tuple[float, float]]) -> list[tuple[float, float]]:
        since = self._now() - WINDOW_S
        return [entry for entry in those.copy() if entry[0] > since]

    def _rate(self, those: list[tuple[float, float]]) -> float:
        whole = len(those) == _MOST  # what came before them has been forgotten
        span = max(self._now() - those[0][0], 1e-3) if whole else WINDOW_S
        return len(those) / span


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The smallest value that so many per cent do not exceed (nearest rank)."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
