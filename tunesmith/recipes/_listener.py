"""Who hears of a recipe's progress."""

from __future__ import annotations

from typing import Protocol

from tunesmith.training import Callback, EpochRecord

__all__ = ["Listener", "Recording", "Silent"]


class Listener(Callback, Protocol):
    """Hears what a recipe does; the command line draws it, Python users may pass their own."""

    def say(self, text: str) -> None:
        """A fact or a choice that the user should know."""

    def warn(self, text: str) -> None:
        """Something that may make the result worse."""

    def stage(self, title: str, total: int | None = None) -> None:
        """A stage begins; `total` is the number of rows that `advance` will count up to."""

    def advance(self, rows: int) -> None:
        """So many more rows of the stage are done."""


class Silent:
    """A listener that says nothing."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def stage(self, title: str, total: int | None = None) -> None: ...

    def advance(self, rows: int) -> None: ...

    def on_start(self, total_steps: int, first_step: int) -> None: ...

    def on_step(self, step: int, loss: float, rate: float) -> None: ...

    def on_less_memory(self, max_tokens: int) -> None: ...

    def on_epoch(self, record: EpochRecord) -> None: ...

    def on_end(self) -> None: ...


class Recording:
    """Passes everything on to another listener, and keeps the warnings for the report."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.warnings: list[str] = []

    def say(self, text: str) -> None:
        self._listener.say(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self._listener.warn(text)

    def stage(self, title: str, total: int | None = None) -> None:
        self._listener.stage(title, total)

    def advance(self, rows: int) -> None:
        self._listener.advance(rows)

    def on_start(self, total_steps: int, first_step: int) -> None:
        self._listener.on_start(total_steps, first_step)

    def on_step(self, step: int, loss: float, rate: float) -> None:
        self._listener.on_step(step, loss, rate)

    def on_less_memory(self, max_tokens: int) -> None:
        self._listener.on_less_memory(max_tokens)

    def on_epoch(self, record: EpochRecord) -> None:
        self._listener.on_epoch(record)

    def on_end(self) -> None:
        self._listener.on_end()
