"""`metrics.jsonl`: one line a step or epoch, for plots and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tunesmith.training.callbacks._callback import EpochRecord

__all__ = ["MetricsLog"]

_STEPS_A_LINE = 10


class MetricsLog:
    """Writes every tenth step and every epoch; a resumed run appends.

    Args:
        run: what the training is called; several may share a file, one after the other.
        settings: what it is trained with, for its first line.
        judged: whether the figures on validation rows tell anything: not where these are learned
            from.
    """

    def __init__(
        self,
        file: Path,
        run: str,
        settings: Mapping[str, Any] | None = None,
        *,
        judged: bool = True,
    ) -> None:
        self._path, self._run, self._judged = file, run, judged
        self._settings = dict(settings or {})
        self._file: IO[str] | None = None

    def on_start(self, total_steps: int, first_step: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8")
        start = {"event": "start", "run": self._run, "step": first_step}
        self._write({**start, "total_steps": total_steps, "settings": self._settings})

    def on_step(self, step: int, loss: float, rate: float) -> None:
        if step % _STEPS_A_LINE == 0:
            self._write({"event": "step", "step": step, "train_loss": loss, "rate": rate})

    def on_less_memory(self, max_tokens: int) -> None:
        self._write({"event": "less memory", "max_tokens": max_tokens})

    def on_epoch(self, record: EpochRecord) -> None:
        figures = record.as_dict()
        if not self._judged:
            del figures["validation_loss"], figures["metric"]
        self._write({"event": "epoch", **figures})

    def on_end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
