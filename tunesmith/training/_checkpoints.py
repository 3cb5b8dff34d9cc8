"""Resumable training state on disk: written whole or not at all, checked when read, never served.

A checkpoint is a folder `step-NNNNNNNN` with `tensors.safetensors` and `state.json`, which holds
the tensors' sha256. Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tunesmith import storage

__all__ = ["Checkpoints"]

_DIVERGED = 10.0


class Checkpoints:
    """The checkpoints of one run; the newest `keep` stay.

    `interval_s` is how much work, in seconds, a crash may cost: see `due`.
    """

    def __init__(self, folder: Path, *, keep: int = 2, interval_s: float = 0.0) -> None:
        self.folder = folder
        self._keep = keep
        self._interval_s = interval_s
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether the interval since the last checkpoint, or the start, is over."""
        return time.monotonic() - self._last >= self._interval_s

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Writes a checkpoint, then removes all but the newest.

        Raises:
            OutputError: the disk is full; the older checkpoints are as they were.
        """
        stem = f"step-{step:08d}"
        final = self.folder / stem
        while final.exists():  # the one there stays until the new one is whole
            final = final.with_name(f"{final.name}+")
        with storage.new_folder(final) as temporary:
            file = temporary / "tensors.safetensors"
            save_file({name: value.contiguous() for name, value in tensors.items()}, str(file))
            content = {**state, "tensors_sha256": _digest(file)}
            storage.write_bytes(temporary / "state.json", json.dumps(content, indent=1).encode())
        # One of a later step is damaged or of another run: training never goes back by itself.
        folders = [other for other in self._folders() if other != final]
        older = [other for other in folders if other.name < stem]
        self._last = time.monotonic()
        for old in {*folders} - {*older[max(0, len(older) + 1 - self._keep) :]}:
            shutil.rmtree(old)
        return final

    def load_newest(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest checkpoint that is whole, or None where there is none.

        What a process that was killed left half-written is removed.
        """
        for left in self.folder.glob(".step-*"):
            shutil.rmtree(left, ignore_errors=True)  # another process may be about it too
        for folder in reversed(self._folders()):
            try:
                state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
                if state["tensors_sha256"] == _digest(folder / "tensors.safetensors"):
                    return load_file(str(folder / "tensors.safetensors")), state
            except (OSError, ValueError, KeyError, SafetensorError):
                continue
        return None

    def remove_diverged(self) -> None:
        """Removes those at which the loss had risen beyond measure: a lower rate comes too late."""
        for folder in self._folders():
            try:
                state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
                diverged = _has_diverged(state)
            except (OSError, ValueError, KeyError, IndexError):
                continue  # `load_newest` passes it over
            if diverged:
                shutil.rmtree(folder)

    def remove(self) -> None:
        """Removes all of them, once the bundle is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("step-*")) if self.folder.is_dir() else []


def _has_diverged(state: Mapping[str, Any]) -> bool:
    """Whether a loss, of an epoch or of the steps since, is ten times what a poor model's is."""
    losses = [float(record["validation_loss"]) for record in state["history"]]
    now: float = state["loss_sum"] / max(state["loss_rows"], 1)
    return max(*losses, now) > _DIVERGED * max(1.0, losses[0])


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
