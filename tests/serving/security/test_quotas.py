"""What a key has left, and addresses that guess."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.serving.security import Key, Quota, new_key
from tunesmith.serving.security import _quotas as module
from tunesmith.serving.security._quotas import Quotas, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def key(**quota: object) -> Key:
    made = Quota(**quota)  # type: ignore[arg-type]
    return new_key("a", now=datetime(2026, 1, 1, tzinfo=UTC), quota=made)[0]


def test_a_rate_has_bursts_and_fills_again(clock: Clock) -> None:
    quotas, limited = Quotas(clock), key(rate=2.0, burst=3)
    assert [quotas.admit(limited, reads_texts=True) for _ in range(4)] == [
        None,
        None,
        None,
        ("rate", 1),
    ]
    clock.now += 0.5
    assert quotas.admit(limited, reads_texts=True) is None
    assert quotas.admit(limited, reads_texts=True) == ("rate", 1)
    clock.now += 1_000
    assert [quotas.admit(limited, reads_texts=True) for _ in range(4)].count(None) == 3


def test_tokens_are_paid_off_before_the_next_request(clock: Clock) -> None:
    quotas, limited = Quotas(clock), key(tokens_per_minute=60)
    assert quotas.admit(limited, reads_texts=True) is None
    quotas.charge(limited, 90)
    assert quotas.admit(limited, reads_texts=True) == ("tokens_per_minute", 31)
    assert quotas.admit(limited, reads_texts=False) is None
    clock.now += 31
    assert quotas.admit(limited, reads_texts=True) is None


def test_the_day_counts_beside_the_minute(clock: Clock) -> None:
    quotas, limited = Quotas(clock), key(tokens_per_minute=1_000, tokens_per_day=1_000)
    quotas.charge(limited, 1_001)
    clock.now += 60
    name, wait_s = quotas.admit(limited, reads_texts=True) or ("", 0)
    assert name == "tokens_per_day"
    assert 20 < wait_s < 120


def test_a_changed_quota_holds_at_once(clock: Clock) -> None:
    from dataclasses import replace

    quotas, limited = Quotas(clock), key(rate=1.0)
    assert quotas.admit(limited, reads_texts=True) is None
    assert quotas.admit(limited, reads_texts=True) is not None
    assert quotas.admit(replace(limited, quota=Quota(rate=5.0)), reads_texts=True) is None


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(0, 5), max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(
    rate: float, burst: int, steps: list[float]
) -> None:
    clock = Clock()
    quotas, limited = Quotas(clock), key(rate=rate, burst=burst)
    begun, admitted = clock.now, 0
    for step in steps:
        clock.now += step
        admitted += quotas.admit(limited, reads_texts=True) is None
        assert admitted <= burst + rate * (clock.now - begun) + 1e-6


def test_who_guesses_waits_longer_each_time(clock: Clock) -> None:
    throttle = Throttle(clock)
    for _ in range(9):
        throttle.fail("192.0.2.1", "")
    assert throttle.wait_s("192.0.2.1", "") == 0
    waits = []
    for _ in range(9):
        throttle.fail("192.0.2.1", "")
        waits.append(throttle.wait_s("192.0.2.1", ""))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert throttle.wait_s("192.0.2.2", "") == 0
    assert throttle.wait_s("192.0.2.1", "another key") == 0
    clock.now += 60
    assert throttle.wait_s("192.0.2.1", "") == 0
    clock.now += 1_000
    throttle.fail("192.0.2.1", "")
    assert throttle.wait_s("192.0.2.1", "") == 0


def test_one_client_has_many_addresses_of_version_six(clock: Clock) -> None:
    throttle = Throttle(clock)
    for number in range(11):
        throttle.fail(f"2001:db8::{number:x}", "")
    assert throttle.wait_s("2001:db8::ffff", "") > 0
    assert throttle.wait_s("2001:db8:0:1::1", "") == 0


def test_its_memory_is_bounded(clock: Clock) -> None:
    throttle = Throttle(clock)
    for number in range(10_000):
        throttle.fail(f"10.0.{number // 256}.{number % 256}", "")
    assert len(throttle._failures) == module._MAX_TRACKED
