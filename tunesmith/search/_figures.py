"""Where the dots and lines of a study's figures lie; the template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunesmith.pages import even_ticks
from tunesmith.search._space import Dimension, Range, Scalar, Space
from tunesmith.search._trial import Trial

__all__ = [
    "PLOT_HEIGHT",
    "PLOT_WIDTH",
    "Bar",
    "Dot",
    "Parallel",
    "Plot",
    "importance_bars",
    "parallel_plot",
    "progress_plot",
    "setting_text",
    "slice_plots",
]

PLOT_WIDTH, PLOT_HEIGHT = 420, 244
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 404, 16, 204
_WIDEST = 880
_MOST_TICKS = 6
_SMALL = 1e-3  # from here on down, figures are written as 2.7e-4

Ticks: TypeAlias = tuple[tuple[float, str], ...]
Placing: TypeAlias = Callable[[Scalar], float]


@dataclass(frozen=True, slots=True)
class Dot:
    """One trial; `style` is complete, pruned or chosen."""

    x: float
    y: float
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Trials over one setting, or in their order; `line` is the best so far."""

    title: str
    dots: tuple[Dot, ...]
    x_ticks: Ticks
    y_ticks: Ticks
    line: tuple[tuple[float, float], ...] = ()

    @property
    def path(self) -> str:
        return " ".join(f"{x},{y}" for x, y in self.line)


@dataclass(frozen=True, slots=True)
class Parallel:
    """An upright axis for each setting and for the metric; a line across them for each trial."""

    width: float
    axes: tuple[tuple[float, str, Ticks], ...]
    lines: tuple[tuple[str, str, str], ...]  # path, style, title


@dataclass(frozen=True, slots=True)
class Bar:
    """A setting's share in what makes trials differ, 0 to 1."""

    name: str
    share: float


def progress_plot(trials: Sequence[Trial], chosen: int | None) -> Plot | None:
    """Every trial's metric in the order of the trials, and the best so far."""
    complete = _complete(trials)
    if len(complete) < 2:
        return None
    down, y_ticks = _metric_axis(complete, _BOTTOM, _TOP)
    across, x_ticks = _numeric_axis(
        0, max(1, trials[-1].number), False, (_LEFT, _RIGHT), is_whole=True
    )
    dots = [_dot(one, across(one.number), down(one.metric), chosen) for one in complete]
    dots += [
        Dot(across(one.number), down(one.epochs[-1][2]), "pruned", f"trial {one.number}: pruned")
        for one in trials
        if one.state == "pruned" and one.epochs
    ]
    line: list[tuple[float, float]] = []
    best = -math.inf
    for one in complete:
        if one.metric is not None and one.metric > best:
            if line:
                line.append((across(one.number), line[-1][1]))
            best = one.metric
            line.append((across(one.number), down(best)))
    line.append((_RIGHT, line[-1][1]))
    return Plot("Best so far", tuple(dots), x_ticks, y_ticks, tuple(line))


def slice_plots(space: Space, trials: Sequence[Trial], chosen: int | None) -> list[Plot]:
    """The complete trials' metric over each setting."""
    complete = _complete(trials)
    if len(complete) < 2:
        return []
    down, y_ticks = _metric_axis(complete, _BOTTOM, _TOP)
    plots: list[Plot] = []
    for name, dimension in space.dimensions.items():
        across, x_ticks = _axis(dimension, (_LEFT + 12, _RIGHT - 12))
        dots = tuple(
            _dot(one, across(one.settings[name]), down(one.metric), chosen)
            for one in complete
            if name in one.settings
        )
        plots.append(Plot(name, dots, x_ticks, y_ticks))
    return plots


def parallel_plot(space: Space, trials: Sequence[Trial], chosen: int | None) -> Parallel | None:
    """All settings of the complete trials side by side; the better third stands out."""
    complete = _complete(trials)
    if len(complete) < 2:
        return None
    gap = min(150, max(96, _WIDEST // max(len(space.dimensions), 1)))
    places: list[Placing] = []
    axes: list[tuple[float, str, Ticks]] = []
    for name, dimension in space.dimensions.items():
        place, ticks = _axis(dimension, (_BOTTOM, _TOP + 12))
        places.append(place)
        axes.append((_LEFT + gap * len(axes), name, ticks))
    place_metric, ticks = _metric_axis(complete, _BOTTOM, _TOP + 12)
    axes.append((_LEFT + gap * len(axes), "metric", ticks))
    order = sorted(complete, key=lambda one: one.metric or 0.0)
    lines: list[tuple[str, str, str]] = []
    for rank, one in enumerate(order):
        values = [place(one.settings[n]) for place, n in zip(places, space.dimensions, strict=True)]
        points = zip([axis[0] for axis in axes], [*values, place_metric(one.metric)], strict=True)
        style = "good" if rank >= len(order) - math.ceil(len(order) / 3) else "quiet"
        style = "chosen" if one.number == chosen else style
        lines.append((" ".join(f"{x},{y}" for x, y in points), style, _title(one)))
    lines.sort(key=lambda line: ("quiet", "good", "chosen").index(line[1]))
    return Parallel(axes[-1][0] + 60, tuple(axes), tuple(lines))


def importance_bars(importance: Mapping[str, float]) -> list[Bar]:
    """One bar for each setting, the longest first."""
    return [Bar(name, share) for name, share in sorted(importance.items(), key=lambda i: -i[1])]


def setting_text(value: Scalar) -> str:
    """A value as a reader writes it: "3.2e-5", "0.1", "true"."""
    if value is None or isinstance(value, bool):
        return "auto" if value is None else str(value).lower()
    if isinstance(value, float):
        text = f"{value:.1e}" if 0 < abs(value) < _SMALL else f"{value:.3g}"
        mantissa, _, exponent = text.replace(".0e", "e").partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return str(value)


def _complete(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state == "complete"]


def _dot(trial: Trial, x: float, y: float, chosen: int | None) -> Dot:
    return Dot(x, y, "chosen" if trial.number == chosen else "complete", _title(trial))


def _title(trial: Trial) -> str:
    return f"trial {trial.number}: {100 * (trial.metric or 0.0):.1f} %"


def _metric_axis(complete: Sequence[Trial], start: float, end: float) -> tuple[Placing, Ticks]:
    """The complete trials' metrics; what lies outside is drawn at the edge."""
    values = [100 * (trial.metric or 0.0) for trial in complete]
    low, high = min(values), max(values)
    margin = max(0.25, 0.05 * (high - low))
    place, ticks = _numeric_axis(low - margin, high + margin, False, (start, end))

    def place_share(share: Scalar) -> float:
        return place(100 * share if isinstance(share, int | float) else None)

    return place_share, tuple((at, f"{text} %") for at, text in ticks)


def _axis(dimension: Dimension, ends: tuple[float, float]) -> tuple[Placing, Ticks]:
    if isinstance(dimension, Range):
        return _numeric_axis(
            dimension.low, dimension.high, dimension.log, ends, is_whole=dimension.is_whole
        )
    values = dimension.values
    gap = (ends[1] - ends[0]) / max(len(values) - 1, 1)
    spots = {value: round(ends[0] + gap * place, 1) for place, value in enumerate(values)}
    return spots.__getitem__, tuple((spots[value], setting_text(value)) for value in values)


def _numeric_axis(
    low: float, high: float, log: bool, ends: tuple[float, float], *, is_whole: bool = False
) -> tuple[Placing, Ticks]:
    def bent(value: float) -> float:
        return math.log(value) if log else value

    def place(value: Scalar) -> float:
        number = float(value) if isinstance(value, int | float) else low
        share = (bent(min(max(number, low), high)) - bent(low)) / (bent(high) - bent(low))
        return round(ends[0] + (ends[1] - ends[0]) * share, 1)

    values = _log_ticks(low, high) if log else even_ticks(low, high, _MOST_TICKS, is_whole=is_whole)
    texts = [setting_text(int(value) if is_whole else float(value)) for value in values]
    return place, tuple(zip(map(place, values), texts, strict=True))


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, and their doubles and fives where these are few; else the ends."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if 2 <= len(ticks) <= _MOST_TICKS:
            return ticks
    return [low, high]
