"""From items to decoded answers, alike for every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.errors import DataError
from tunesmith.types import Prediction

if TYPE_CHECKING:
    from tunesmith.runtimes._runtime import Runtime

__all__ = ["predict"]


def predict(runtime: Runtime, items: Sequence[object]) -> list[Prediction]:
    """See `Runtime.predict`.

    Raises:
        DataError: an item is not what the task reads, or one text was given for a list of them.
    """
    if isinstance(items, str):
        raise DataError("give a list of texts, not one text", mend=f"predict([{items[:40]!r}])")
    if not items:
        return []
    return runtime.task.decode(runtime.outputs([runtime.task.read(item) for item in items]))
