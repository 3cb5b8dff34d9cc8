"""Where the lines of a report's figures lie; the templates draw them as SVG.

The figures are drawn by the page's own templates and not by a plotting library: so they take the
page's colours (light, dark and print), set labels in any script, and cost no import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Estimate

__all__ = [
    "Bar",
    "Cell",
    "HeatMap",
    "Line",
    "Plot",
    "cut",
    "heat_map",
    "interval_bars",
    "learning_curve",
]

BAR_WIDTH = 200
"""Of an interval bar, in its own units; the page scales it."""

CLOSE = 0.25
"""Bars whose figure is within this of the best one share the axis; lower ones end at its edge."""


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval as a line with a dot on it; `below` marks one that lies left of the axis."""

    low: float
    value: float
    high: float
    below: bool = False


def interval_bars(
    estimates: Sequence[Estimate], axis: tuple[float, float] | None = None
) -> tuple[tuple[Bar, ...], tuple[float, float]]:
    """One bar for each estimate on a common axis, and the axis' ends.

    An estimate without an interval is a mark alone.

    Args:
        axis: its ends; where None it spans the estimates that come close to the best.
    """
    estimates = [
        one if one.has_interval else Estimate(one.value, one.value, one.value) for one in estimates
    ]
    if axis is None:
        best = max(estimate.value for estimate in estimates)
        near = [estimate for estimate in estimates if estimate.value >= best - CLOSE]
        low = math.floor(20 * min(estimate.low for estimate in near)) / 20
        high = math.ceil(20 * max(estimate.high for estimate in near)) / 20
        axis = (low, high if high > low else low + 0.05)
    start, width = axis[0], axis[1] - axis[0]

    def place(value: float) -> float:
        return round(4 + (BAR_WIDTH - 8) * min(1.0, max(0.0, (value - start) / width)), 2)

    bars = tuple(
        Bar(place(e.low), place(e.value), place(e.high), below=e.high < start) for e in estimates
    )
    return bars, axis


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the confusion matrix; `share` is of the true label's rows."""

    x: float
    y: float
    count: int
    share: float
    right: bool
    target: str
    predicted: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A confusion matrix: true labels down, predicted labels across."""

    width: float
    height: float
    size: float
    left: float
    top: float
    labels: tuple[str, ...]
    short: tuple[str, ...]
    cells: tuple[Cell, ...]


def heat_map(labels: Sequence[str], confusion: NDArray[np.int64]) -> HeatMap:
    """The confusion matrix of up to some thirty labels, shaded by share of the true label."""
    short = tuple(cut(label, 22) for label in labels)
    size = max(24.0, min(64.0, 600.0 / len(labels)))
    longest = max(_text_width(label) for label in short)
    left, top = longest + 34, 0.72 * longest + 36
    totals = np.maximum(confusion.sum(axis=1), 1)
    cells = tuple(
        Cell(
            x=round(left + column * size, 2),
            y=round(top + row * size, 2),
            count=int(confusion[row, column]),
            share=float(confusion[row, column] / totals[row]),
            right=row == column,
            target=labels[row],
            predicted=labels[column],
        )
        for row in range(len(labels))
        for column in range(len(labels))
    )
    # Column labels lean to the right, so the last one needs room beyond its column.
    width = left + size * len(labels) + 0.72 * longest
    height = top + size * len(labels) + 8
    return HeatMap(round(width, 1), round(height, 1), size, left, top, tuple(labels), short, cells)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a plot: its name, its points, and where its last point lies."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]

    @property
    def path(self) -> str:
        return " ".join(f"{x},{y}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over epochs, with the ticks of both axes as (place, text)."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


PLOT_WIDTH, PLOT_HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 404, 16, 204


def learning_curve(
    title: str,
    history: Sequence[Mapping[str, float]],
    curves: Mapping[str, tuple[str, str]],
    *,
    percent: bool = False,
) -> Plot | None:
    """Some figures over the epochs; None where fewer than two points are known.

    Args:
        history: one entry an epoch.
        curves: key in `history` → (name, style).
        percent: whether the ticks are percentages.
    """
    known = {
        key: [
            (float(entry["epoch"]), float(entry[key]))
            for entry in history
            if entry.get(key) is not None and math.isfinite(entry[key])
        ]
        for key in curves
    }
    known = {key: points for key, points in known.items() if len(points) > 1}
    if not known:
        return None
    epochs = [x for points in known.values() for x, _ in points]
    values = [y for points in known.values() for _, y in points]
    ticks, decimals = _ticks(min(values), max(values), percent)
    first, last = min(epochs), max(epochs)

    def across(epoch: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (epoch - first) / ((last - first) or 1.0), 1)

    def down(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (value - ticks[0]) / (ticks[-1] - ticks[0]), 1)

    lines = tuple(
        Line(*curves[key], points=tuple((across(x), down(y)) for x, y in points))
        for key, points in known.items()
    )
    stride = max(1, math.ceil((last - first) / 10))
    shown = sorted({epoch for epoch in epochs if (epoch - first) % stride == 0})
    texts = [
        f"{100 * tick:.{decimals}f} %" if percent else f"{tick:.{decimals}f}" for tick in ticks
    ]
    return Plot(
        title,
        lines,
        tuple((across(epoch), f"{epoch:g}") for epoch in shown),
        tuple((down(tick), text) for tick, text in zip(ticks, texts, strict=True)),
    )


def _ticks(low: float, high: float, percent: bool) -> tuple[list[float], int]:
    """About five round numbers around [low, high], and how many decimals they need.

    Percentages differ by half a point at least: less is no change that anybody has to see.
    """
    scale = 100.0 if percent else 1.0
    low, high = low * scale, high * scale
    rough = max((high - low) / 4, 0.5 if percent else 1e-3)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    decimals = max(0, -math.floor(math.log10(step)) + (1 if step / power == 2.5 else 0))
    return [step * place / scale for place in range(first, last + 1)], decimals


def cut(text: str, length: int) -> str:
    """At most `length` characters of a text, an ellipsis in place of the rest."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _text_width(text: str) -> float:
    """About how wide a text is at 12 px; characters of East Asian scripts are twice as wide."""
    return sum(12.5 if ord(character) > 0x2E7F else 6.6 for character in text)
