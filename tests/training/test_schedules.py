"""How the rate rises and falls."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.config import Schedule
from tunesmith.training.optimizers import rate_at

SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)

fractions = st.floats(0, 1, exclude_max=True)
peaks = st.floats(1e-9, 10)
lengths = st.integers(1, 300)


def rates(schedule: Schedule, total: int, peak: float, warmup: float) -> list[float]:
    return [rate_at(schedule, step, total, peak, warmup) for step in range(total)]


def test_the_rate_rises_and_falls_in_lines() -> None:
    found = rates("linear", 100, 2.0, 0.1)
    assert found[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert found[10] == max(found) == 2.0
    assert np.diff(found[10:]) == pytest.approx(np.full(89, -2.0 / 90))
    assert found[-1] == pytest.approx(2.0 / 90)


@pytest.mark.parametrize("total", [1, 2, 3, 10])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.99])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_is_never_nothing(schedule: Schedule, total: int, warmup: float) -> None:
    assert all(0 < rate <= 1 for rate in rates(schedule, total, 1.0, warmup))


@pytest.mark.parametrize("schedule", SCHEDULES)
@settings(deadline=None)
@given(total=lengths, peak=peaks, warmup=fractions)
def test_it_rises_to_the_peak_and_then_never_again(
    schedule: Schedule, total: int, peak: float, warmup: float
) -> None:
    found = rates(schedule, total, peak, warmup)
    first = round(total * warmup)
    assert all(0 < rate <= peak for rate in found)
    assert all(earlier < later for earlier, later in pairwise(found[:first]))
    assert all(earlier >= later for earlier, later in pairwise(found[first:]))
    assert max(found) == pytest.approx(peak, rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_even_the_last_of_many_steps_has_a_rate(schedule: Schedule) -> None:
    total = 10**12
    assert rate_at(schedule, total - 1, total, 1e-5, 0.1) > 0


def test_a_cosine_falls_by_half_at_half_way() -> None:
    found = rates("cosine", 100, 1.0, 0.0)
    expected = [0.5 * (1 + math.cos(math.pi * step / 100)) for step in range(100)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_wsd_falls_over_the_last_fifth() -> None:
    found = rates("wsd", 100, 1.0, 0.1)
    assert found[9:81] == [1.0] * 72
    assert found[80:] == pytest.approx([left / 20 for left in range(20, 0, -1)])


def test_a_constant_rate_stays() -> None:
    assert rates("constant", 20, 3.0, 0.1)[2:] == [3.0] * 18
