"""How much each key has left, and which addresses have failed too often."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from tunesmith.serving.security._keys import Key, Quota

__all__ = ["Quotas", "Throttle"]

_MAX_TRACKED = 4_096
_FREE_FAILURES = 10
_LONGEST_BLOCK_S = 60.0
_FORGET_S = 900.0
_DAY_S = 86_400.0


class Bucket:
    """A token bucket: holds up to `size`, fills by `rate` a second, and may be overdrawn.

    The size of a request is known only after it was read. So a request is let in while anything is
    left, and what it took beyond that is paid off before the next one.
    """

    def __init__(self, size: float, rate: float, now: float) -> None:
        self.size = size
        self.rate = rate
        self._level = size
        self._at = now

    def wait_s(self, now: float, wanted: float = 0.0) -> float:
        """Seconds until it holds `wanted`, or anything at all; 0 where it does."""
        self._level = min(self.size, self._level + (now - self._at) * self.rate)
        self._at = now
        if wanted == 0.0 and self._level > 0:
            return 0.0
        # The next whole token, since half a token lets nothing in.
        lacking = max(wanted, 1e-9) - self._level
        return max(0.0, lacking / self.rate)

    def take(self, amount: float) -> None:
        """Takes out; the level may fall below zero."""
        self._level -= amount


class Quotas:
    """What each key has left, counted in this process since it started.

    As many buckets are kept as there are keys with a quota: clients cannot make it grow.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[Quota, dict[str, Bucket]]] = {}

    def admit(self, key: Key, *, reads_texts: bool) -> tuple[str, int] | None:
        """Takes a request out of the key's rate; or says what is used up, and for how many seconds.

        Args:
            reads_texts: whether the key's tokens have to last for the request as well.
        """
        buckets = self._of(key)
        now = self._clock()
        for name, bucket in buckets.items():
            if name != "rate" and not reads_texts:
                continue
            wait_s = bucket.wait_s(now, 1.0 if name == "rate" else 0.0)
            if wait_s > 0:
                return name, max(1, math.ceil(wait_s))
        if "rate" in buckets:
            buckets["rate"].take(1.0)
        return None

    def charge(self, key: Key, num_tokens: int) -> None:
        """Takes what a request has used out of the key's tokens."""
        now = self._clock()
        for name, bucket in self._of(key).items():
            if name != "rate":
                bucket.wait_s(now)
                bucket.take(num_tokens)

    def _of(self, key: Key) -> dict[str, Bucket]:
        quota, buckets = self._buckets.get(key.id, (None, {}))
        if quota != key.quota:
            buckets = _buckets(key.quota, self._clock())
            self._buckets[key.id] = (key.quota, buckets)
        return buckets


class Throttle:
    """Slows down who guesses: after ten failures an address waits, twice as long each time.

    Failures are counted by address and by the key that was meant, so that a guesser does not lock
    out the other keys of those behind the same proxy. The addresses that failed least lately are
    forgotten: memory is bounded.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str, meant: str) -> int:
        """Whole seconds for which nothing that this address presents is looked at; mostly 0."""
        count, last = self._failures.get((_network(address), meant), (0, 0.0))
        if count < _FREE_FAILURES:
            return 0
        blocked_s = min(_LONGEST_BLOCK_S, 2.0 ** min(count - _FREE_FAILURES, 10))
        return max(0, math.ceil(last + blocked_s - self._clock()))

    def fail(self, address: str, meant: str) -> None:
        """Counts a failure."""
        place = (_network(address), meant)
        now = self._clock()
        count, last = self._failures.pop(place, (0, now))
        self._failures[place] = (1 if now - last > _FORGET_S else count + 1, now)
        if len(self._failures) > _MAX_TRACKED:
            self._failures.popitem(last=False)


def _buckets(quota: Quota, now: float) -> dict[str, Bucket]:
    buckets = {}
    if quota.rate is not None:
        burst = float(quota.burst or max(1, math.ceil(quota.rate)))
        buckets["rate"] = Bucket(burst, quota.rate, now)
    for name, seconds in (("tokens_per_minute", 60.0), ("tokens_per_day", _DAY_S)):
        size = getattr(quota, name)
        if size is not None:
            buckets[name] = Bucket(float(size), size / seconds, now)
    return buckets


def _network(address: str) -> str:
    """What one client can hardly change: its IPv4 address, or the first 64 bits of its IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
