"""Where the marks of a section's charts lie; `charts.html` draws them as SVG (see `_figures`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.evaluation._figures import Line
from tunesmith.pages import even_ticks

__all__ = ["Chart", "Mark", "chart", "share_axis"]

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 394, 12, 252
_MOST_TICKS = 6
_LARGEST, _SMALLEST = 9.0, 2.5


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot with its interval as a line; `radius` is in the chart's units."""

    x: float
    y: float
    low: float
    high: float
    radius: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves and dots, with the ticks of both axes as (place, text)."""

    title: str
    x_name: str
    y_name: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A dot in the data's own units; `share` of all rows, which its area shows."""

    x: float
    y: float
    low: float
    high: float
    share: float
    title: str


def share_axis(low: float, high: float) -> tuple[float, ...]:
    """Ticks of an axis of shares."""
    ticks = even_ticks(low, high, _MOST_TICKS)
    return tuple(ticks) if len(ticks) > 1 else (low, high if high > low else low + 0.01)


def chart(
    title: str,
    names: tuple[str, str],
    *,
    lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]] = (),
    points: Sequence[Point] = (),
    x_axis: Sequence[float],
    y_axis: Sequence[float],
) -> Chart:
    """A chart of shares.

    Args:
        names: of both axes.
        lines: name, style ("accent" or "quiet") and points of each curve.
        x_axis, y_axis: the ticks; the first and the last are the axis' ends.
    """

    def across(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * _place(value, x_axis), 1)

    def down(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * _place(value, y_axis), 1)

    return Chart(
        title,
        *names,
        lines=tuple(
            Line(name, style, tuple((across(x), down(y)) for x, y in own))
            for name, style, own in lines
        ),
        marks=tuple(
            Mark(
                x=across(own.x),
                y=down(own.y),
                low=down(own.low),
                high=down(own.high),
                radius=round(max(_SMALLEST, _LARGEST * own.share**0.5), 1),
                title=own.title,
            )
            for own in points
        ),
        x_ticks=tuple((across(tick), _percent(tick)) for tick in x_axis),
        y_ticks=tuple((down(tick), _percent(tick)) for tick in y_axis),
    )


def _place(value: float, axis: Sequence[float]) -> float:
    return min(1.0, max(0.0, (value - axis[0]) / (axis[-1] - axis[0])))


def _percent(share: float) -> str:
    return f"{round(100 * share, 2):g} %"
