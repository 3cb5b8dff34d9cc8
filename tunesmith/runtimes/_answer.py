"""Answers that say more than the labels."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.runtimes._runtime import Runtime
from tunesmith.tasks import Wanted
from tunesmith.types import Prediction

__all__ = ["answer"]


def answer(
    runtime: Runtime, items: Sequence[object], wanted: Wanted | None = None
) -> list[Prediction]:
    """As `Runtime.predict`, with what is wanted beside the labels.

    Raises:
        ConfigError: the model cannot give what is wanted.
        DataError: an item is not what the task reads, or one text was given for a list of them.
    """
    if not wanted or not items or isinstance(items, str):
        return runtime.predict(items)
    task = runtime.task
    task.check(wanted)
    return task.decode(runtime.outputs([task.read(item) for item in items]), wanted)
