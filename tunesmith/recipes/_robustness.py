"""Whether the model keeps to its answers where texts change in ways that should not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.evaluation import PERTURBATIONS, Robustness, judge_robustness
from tunesmith.recipes._listener import Listener

if TYPE_CHECKING:
    from tunesmith.recipes._examine import Examined

__all__ = ["robustness"]


def robustness(subject: Examined, listener: Listener) -> Robustness | None:
    """Changes some test texts and asks the model again, unless the settings forbid it."""
    if not subject.settings.robustness:
        return None
    listener.stage("changing texts", len(PERTURBATIONS))
    return judge_robustness(
        subject.task,
        subject.dataset,
        subject.scores,
        subject.ask,
        max_rows=subject.settings.max_robustness_rows,
        confidence=subject.confidence,
        seed=subject.seed,
        on_check=lambda: listener.advance(1),
    )
