"""What one request has cost so far: counted where texts are answered, read where it is logged."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import Scope

__all__ = ["Usage", "current_usage", "usage_of"]


@dataclass(slots=True)
class Usage:
    """Of one request.

    Attributes:
        texts: texts that were answered.
        tokens: tokens that the model read.
        cached: texts of which the cache held the answer; None where there is no cache.
        model, version: who was asked last; empty where nobody was.
        started: when the model was asked, by `time.perf_counter`; 0 where it was not.
        ended: when it had answered.
        queue_s: seconds spent waiting for the model.
        inference_s: seconds spent in the model.
    """

    texts: int = 0
    tokens: int = 0
    cached: int | None = None
    model: str = ""
    version: str = ""
    started: float = 0.0
    ended: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0


# So the data plane need not know what a request or a key is: it counts, and this is where it lands.
current_usage: ContextVar[Usage | None] = ContextVar("current_usage", default=None)


def usage_of(scope: Scope) -> Usage:
    """The usage that belongs to a request; of a request that nobody counts, an empty one."""
    state = scope.setdefault("state", {})
    usage = state.get("usage")
    if usage is None:
        state["usage"] = usage = Usage()
    assert isinstance(usage, Usage)
    return usage
