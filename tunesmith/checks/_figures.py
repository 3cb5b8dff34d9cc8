"""Where the bars of the page's figures lie; the templates draw them as SVG."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.pages import even_ticks

__all__ = [
    "PLOT_HEIGHT",
    "PLOT_WIDTH",
    "Bar",
    "Histogram",
    "Matrix",
    "count_bars",
    "histogram",
    "matrix",
    "size_bars",
]

PLOT_WIDTH, PLOT_HEIGHT = 640, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 628, 14, 186
_MOST_BINS = 30
_TAIL = 0.99  # of the texts are drawn to scale; the longer ones share a bar at the end
_SHADES = 6
_SIZES = ((2, 2), (3, 3), (4, 4), (5, 9), (10, 99), (100, math.inf))

Ticks: TypeAlias = tuple[tuple[float, str], ...]
Upright: TypeAlias = tuple[float, float, float, float, str]


@dataclass(frozen=True, slots=True)
class Bar:
    """A count beside its name; `share` is of all, `length` of the longest bar, both 0 to 1."""

    name: str
    count: int
    share: float
    length: float


def count_bars(counts: Iterable[tuple[str, int]], *, total: int, longest: int) -> list[Bar]:
    """One bar for each name, in the order given.

    Args:
        total: what shares are of.
        longest: the count whose bar is as long as can be.
    """
    return [
        Bar(name, count, count / max(total, 1), count / max(longest, 1)) for name, count in counts
    ]


def size_bars(sizes: NDArray[np.int64]) -> list[Bar]:
    """How many groups have two rows, three, and so on; many rows are taken together."""
    counts = []
    for low, high in _SIZES:
        count = int(((sizes >= low) & (sizes <= high)).sum())
        end = "" if high == low else " and more" if math.isinf(high) else f" to {high:.0f}"
        if count:
            counts.append((f"{low}{end} rows", count))
    return count_bars(counts, total=len(sizes), longest=max([one for _, one in counts], default=1))


@dataclass(frozen=True, slots=True)
class Histogram:
    """Upright bars over an axis of numbers.

    Attributes:
        bars: of each its x, y, width, height, and what it stands for.
        tail: the bar of those beyond the axis; None where there are none.
        middle: where the median lies.
    """

    bars: tuple[Upright, ...]
    tail: Upright | None
    x_ticks: Ticks
    y_ticks: Ticks
    middle: float


def histogram(values: NDArray[np.int64]) -> Histogram | None:
    """How many values lie where; a few far ones do not squeeze the others into one bar."""
    if not len(values):
        return None
    low, high = int(values.min()), math.ceil(np.quantile(values, _TAIL))
    width = _step(max(1, math.ceil((high - low + 1) / _MOST_BINS)))
    start = low // width * width
    num_bins = (high - start) // width + 1
    places = np.minimum((values - start) // width, num_bins)
    counts = np.bincount(places, minlength=num_bins + 1)
    beyond, counts = int(counts[num_bins]), counts[:num_bins]
    y_ticks = even_ticks(0, max(int(counts.max()), beyond, 2), 4, is_whole=True)
    top = max(int(counts.max()), beyond, y_ticks[-1])
    room = 44 if beyond else 0
    step = min((_RIGHT - room - _LEFT) / num_bins, 48.0)
    end = start + num_bins * width

    def drawn(x: float, wide: float, count: int, name: str) -> Upright:
        tall = (_BOTTOM - _TOP) * count / top
        return round(x, 2), round(_BOTTOM - tall, 2), round(wide, 2), round(tall, 2), name

    def across(value: float) -> float:
        return round(_LEFT + step * min((value - start) / width, num_bins), 2)

    bars = tuple(
        drawn(
            _LEFT + step * place + 0.75,
            step - 1.5,
            count,
            f"{_ends(start + place * width, width)}: {count:,}",
        )
        for place, count in enumerate(counts.tolist())
        if count
    )
    tail_at = _LEFT + step * num_bins + 16
    ticks = even_ticks(start, max(end, start + 2), 7, is_whole=True)
    return Histogram(
        bars=bars,
        tail=drawn(tail_at, 24, beyond, f"{end:,} and more: {beyond:,}") if beyond else None,
        x_ticks=tuple((across(tick), f"{tick:,.0f}") for tick in ticks if tick <= end),
        y_ticks=tuple(
            (round(_BOTTOM - (_BOTTOM - _TOP) * tick / top, 2), f"{tick:,.0f}") for tick in y_ticks
        ),
        middle=across(float(np.median(values)) + 0.5),
    )


def _step(rough: int) -> int:
    """The next round number: 1, 2, 5, 10, 20 …"""
    power = int("1" + "0" * (len(str(rough)) - 1))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _ends(first: int, width: int) -> str:
    return f"{first:,}" if width == 1 else f"{first:,} to {first + width - 1:,}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of pairs: the first of each down, the second across; shades go from 0 to 6."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]  # label → count and shade


def matrix(pairs: Mapping[tuple[str, str], int], labels: Sequence[str]) -> Matrix:
    """The pairs as a table of some few labels."""
    highest = max(pairs.values(), default=1)
    counts = Counter(pairs)
    rows = tuple(
        (
            one,
            tuple(
                (count := counts[one, other], math.ceil(_SHADES * count / highest))
                for other in labels
            ),
        )
        for one in labels
    )
    return Matrix(tuple(labels), rows)
