"""How many requests are made up, and what they were answered, protocol by protocol."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings

NUM_REQUESTS = int(os.environ.get("TUNESMITH_TEST_REQUESTS", "1500"))
"""In all, over the protocols; see CONTRIBUTING.md."""

SHARES = {"native": 0.3, "tei": 0.15, "open inference": 0.25, "openai": 0.15, "grpc": 0.15}

Statuses = dict[str, Counter[str]]


def asked(protocol: str, share: float) -> settings:
    """As many examples as a share of a protocol's requests."""
    return settings(
        max_examples=max(10, round(NUM_REQUESTS * SHARES[protocol] * share)),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@contextmanager
def counting(request: pytest.FixtureRequest) -> Iterator[Statuses]:
    """Counts by protocol and status, shown at the end."""
    statuses: Statuses = defaultdict(Counter)
    yield statuses
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for protocol, counts in statuses.items():
            said = ", ".join(f"{status}: {num:,}" for status, num in sorted(counts.items()))
            print(f"\n{protocol}: {counts.total():,} requests; {said}", end="")  # noqa: T201
