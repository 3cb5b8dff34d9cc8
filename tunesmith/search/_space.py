"""What a search may vary: names of settings, each with a range or a list of values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

__all__ = ["Dimension", "Point", "Range", "Scalar", "Space", "ValueList", "point_key"]

Scalar: TypeAlias = str | int | float | bool | None
Point: TypeAlias = dict[str, Scalar]
"""Setting → value, for each setting of a space."""

_ROUNDING = 1e-9  # so that 0.3 is three steps of 0.1
_DIGITS = 12  # floats that agree to so many are the same setting


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both ends are ints.

    Attributes:
        log: whether equal ratios, rather than equal differences, are equally likely.
        step: the distance between neighbours, counted from `low`; None: every number.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def nearest(self, value: object) -> int | float:
        """The number of the range that comes nearest to `value`; `low` where that is no number."""
        if not _is_number(value):
            return self.low
        inside = min(max(value, self.low), self.high)
        step = self.step or (1 if self.is_whole else None)
        if step is not None:
            most = math.floor((self.high - self.low) / step + _ROUNDING)
            inside = self.low + min(round((inside - self.low) / step), most) * step
        return int(inside) if self.is_whole else float(inside)

    def values(self) -> Iterator[int | float] | None:
        """Every number of the range; None where there is no end of them."""
        step = self.step or (1 if self.is_whole else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + _ROUNDING) + 1
        return (self.low + place * step for place in range(count))

    def as_dict(self) -> dict[str, Any]:
        ends = {"low": self.low, "high": self.high}
        return {**ends, "log": self.log} if self.step is None else {**ends, "step": self.step}


@dataclass(frozen=True, slots=True)
class ValueList:
    """Some values, in no order."""

    values: tuple[Scalar, ...]

    def nearest(self, value: object) -> Scalar:
        """The value itself, the number that comes nearest to it, or the first where none does."""
        if value in self.values:
            return self.values[self.values.index(value)]
        numbers = [one for one in self.values if _is_number(one)]
        if not numbers or not _is_number(value):
            return self.values[0]
        return min(numbers, key=lambda one: abs(one - value))


Dimension: TypeAlias = Range | ValueList


@dataclass(frozen=True, slots=True)
class Space:
    """The settings that a search varies.

    Attributes:
        dimensions: dotted name of a setting → what it may be.
    """

    dimensions: Mapping[str, Dimension]

    def without(self, names: Iterable[str]) -> Space:
        """The space with these settings left out."""
        out = set(names)
        return Space({name: one for name, one in self.dimensions.items() if name not in out})

    def nearest(self, values: Mapping[str, object]) -> Point:
        """The point that comes nearest to these settings."""
        point: Point = {}
        for name, dimension in self.dimensions.items():
            point[name] = dimension.nearest(values.get(name))
        return point

    def points(self, limit: int) -> list[Point] | None:
        """Every point of the space; None where there are more than `limit`."""
        axes: list[list[Scalar]] = []
        total = 1
        for dimension in self.dimensions.values():
            values = dimension.values() if isinstance(dimension, Range) else dimension.values
            if values is None:
                return None
            axes.append(list(itertools.islice(values, limit + 1)))
            total *= len(axes[-1])
            if total > limit:
                return None
        return [dict(zip(self.dimensions, one, strict=True)) for one in itertools.product(*axes)]

    def as_dict(self) -> dict[str, Any]:
        """The space as `parse_space` reads it."""
        return {
            name: one.as_dict() if isinstance(one, Range) else list(one.values)
            for name, one in self.dimensions.items()
        }


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def point_key(point: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    """Equal for points that differ in rounding only."""
    return tuple(
        (name, float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value)
        for name, value in sorted(point.items())
    )
