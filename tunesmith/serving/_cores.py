"""The machine's cores, and which batches have them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Cores"]


class Cores:
    """Shared by the batches of all models: one has all of them, or several run side by side.

    First come, first served. Else batches side by side, of which there is always one, would keep a
    batch that wants all cores waiting for ever.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: deque[object] = deque()
        self._num_beside = 0
        self._is_taken = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits for all cores, and has them within."""
        with self._changed:
            self._wait(lambda: not self._num_beside)
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()

    @contextmanager
    def beside(self, most: int) -> Iterator[None]:
        """Waits until fewer than `most` run side by side, and runs beside them within."""
        with self._changed:
            self._wait(lambda: self._num_beside < most)
            self._num_beside += 1
            self._changed.notify_all()  # the next in turn may fit as well
        try:
            yield
        finally:
            with self._changed:
                self._num_beside -= 1
                self._changed.notify_all()

    def _wait(self, fits: Callable[[], bool]) -> None:
        turn = object()
        self._turns.append(turn)
        self._changed.wait_for(lambda: self._turns[0] is turn and not self._is_taken and fits())
        self._turns.popleft()
