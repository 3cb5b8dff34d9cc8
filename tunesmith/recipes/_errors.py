"""What the mistakes have in common, and which may be the label's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.evaluation import Errors, judge_errors
from tunesmith.recipes._listener import Listener

if TYPE_CHECKING:
    from tunesmith.recipes._examine import Examined

__all__ = ["errors"]


def errors(subject: Examined, listener: Listener) -> Errors | None:
    """Puts the mistakes in clusters, and marks labels that are likely wrong."""
    listener.stage("mistakes")
    return judge_errors(
        subject.task,
        subject.dataset,
        subject.targets,
        subject.probabilities,
        known=subject.known,
        seed=subject.seed,
    )
