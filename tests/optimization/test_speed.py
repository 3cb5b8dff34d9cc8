"""What is measured, and which one is chosen by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tunesmith.cli.optimize import _gain
from tunesmith.optimization import Speed, choose, measure_speed
from tunesmith.types import Inputs, Outputs

SPEEDS = {
    "torch-fp32": Speed(10.0, 12.0, 100.0),
    "quick-alone": Speed(2.0, 3.0, 150.0),
    "quick-together": Speed(8.0, 9.0, 500.0),
    "slow": Speed(30.0, 40.0, 50.0),
}


def test_both_latency_and_rate_count() -> None:
    order = choose(SPEEDS, "torch-fp32")
    assert order == ["quick-alone", "quick-together", "torch-fp32", "slow"]
    assert SPEEDS["quick-alone"].gain(SPEEDS["torch-fp32"]) == pytest.approx(7.5**0.5)
    assert order[-1] == "slow"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(3.0, ["quick-alone"]), (9.0, ["quick-together", "quick-alone"]), (1.0, [])],
)
def test_within_a_latency_the_highest_rate_is_first(limit: float, expected: list[str]) -> None:
    assert choose(SPEEDS, "torch-fp32", limit) == expected


def test_every_runtime_meets_the_same_texts_in_turn() -> None:
    asked: list[tuple[str, int]] = []

    def answers(name: str) -> object:
        def answer(inputs: Sequence[Inputs]) -> Outputs:
            asked.append((name, len(inputs)))
            return Outputs(scores=np.zeros((len(inputs), 2), np.float32))

        return answer

    batches: list[list[Inputs]] = [[("a",)] * 3, [("b",)] * 2]
    found = measure_speed(
        {"one": answers("one"), "other": answers("other")},  # type: ignore[dict-item]
        [("x",), ("y",)],
        batches,
        rounds=2,
    )
    a_round = [(name, size) for name in ("one", "other") for size in (1, 1, 3, 2)]
    assert asked[4:] == a_round * 2  # after the warm-up
    assert set(found) == {"one", "other"}
    assert all(own.latency_p95_ms >= 0 and own.texts_per_s > 0 for own in found.values())
    assert all(len(own.rounds) == 2 for own in found.values())
    assert "rounds" not in found["one"].as_dict()


def test_a_ratio_is_shown_only_where_every_round_agrees() -> None:
    reference = Speed(10.0, 12.0, 100.0, ((10.0, 100.0), (12.0, 90.0)))
    faster = Speed(9.0, 12.0, 110.0, ((9.0, 101.0), (11.0, 110.0)))
    noisy = Speed(9.0, 12.0, 110.0, ((7.0, 130.0), (14.0, 85.0)))
    assert faster.differs(reference)
    assert reference.differs(faster)
    assert not noisy.differs(reference)
    assert not reference.differs(reference)
    assert (_gain(faster, reference), _gain(noisy, reference)) == ("1.1", "≈ 1")
    assert _gain(reference, reference) == "1.0"
