"""How progress looks: bars on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import TaskID as BarID
from rich.text import Text

if TYPE_CHECKING:
    from tunesmith.training import EpochRecord

__all__ = ["ConsoleListener"]

_SECONDS_A_LINE = 10.0


class _Rate(ProgressColumn):
    """How many rows or steps are done in a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{_rounded(task.speed)}/s")


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


class ConsoleListener:
    """A `Listener` that writes to a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._bar: BarID | None = None
        self._title = ""
        self._done = self._total = 0
        self._started = self._last_line = time.monotonic()

    def say(self, text: str) -> None:
        self._console.print(Text("· " + text), soft_wrap=True)

    def warn(self, text: str) -> None:
        self._console.print(Text("! " + text, style="yellow"), soft_wrap=True)

    def stage(self, title: str, total: int | None = None) -> None:
        self.close()
        self._title, self._done, self._total = title, 0, total or 0
        self._started = time.monotonic()
        if not total or not self._console.is_terminal:
            self._console.print(Text(f"▸ {title}", style="bold"))
            return
        self._progress = Progress(
            TextColumn("[bold]▸ {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._progress.start()
        self._bar = self._progress.add_task(title, total=total)

    def advance(self, rows: int) -> None:
        self._done += rows
        if self._progress is not None and self._bar is not None:
            self._progress.advance(self._bar, rows)
        elif time.monotonic() - self._last_line > _SECONDS_A_LINE:
            self._last_line = time.monotonic()
            self._console.print(Text("  " + self._progress_line()))

    def _progress_line(self) -> str:
        """ "predicting: 12,000 of 300,000, 512 a second, 9:22 left"."""
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        left = timedelta(seconds=round((self._total - self._done) / rate)) if rate else "?"
        counted = f"{self._title}: {self._done:,} of {self._total:,}"
        return f"{counted}, {_rounded(rate)} a second, {left} left" if self._total else counted

    def on_start(self, total_steps: int, first_step: int) -> None:
        self.stage("fine-tuning", total_steps)
        self.advance(first_step)

    def on_step(self, step: int, loss: float, rate: float) -> None:  # noqa: ARG002
        self.advance(1)

    def on_less_memory(self, max_tokens: int) -> None:
        self.warn(f"the memory did not suffice: {max_tokens:,} tokens at once from now on")

    def on_epoch(self, record: EpochRecord) -> None:
        trained = "" if record.train_loss is None else f"train loss {record.train_loss:.3f}, "
        self.say(
            f"epoch {record.epoch}: {trained}validation loss {record.validation_loss:.3f}, "
            f"metric {record.metric:.1%}, {record.seconds:.0f} s"
        )

    def on_end(self) -> None:
        self.close()

    def close(self) -> None:
        """Ends the bar that is drawn, if one is."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._bar = None
