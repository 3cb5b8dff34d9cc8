"""The frozen base's head, kept beside the bundle: later rows can be held against it at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tunesmith import storage, tasks
from tunesmith.errors import TunesmithError
from tunesmith.recipes._probe import Probe
from tunesmith.tasks import Task

__all__ = ["KeptProbe", "keep_probe", "read_kept_probe"]


@dataclass(frozen=True, slots=True)
class KeptProbe:
    """A linear head on a frozen base.

    Attributes:
        weight, bias: float32 [labels, hidden] and [labels].
        task: with the decision rule that goes with it.
        base_digest: of the base that it was fitted on.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    task: Task
    base_digest: str


def keep_probe(run: Path, probe: Probe, task: Task, base_digest: str) -> None:
    """Writes the probe of a run into its folder.

    Raises:
        OutputError: the disk is full or may not be written.
    """
    weight, bias = probe.head
    arrays = {"weight": weight.numpy(), "bias": bias.numpy()}
    about = {"base": base_digest, "task": json.dumps(task.as_dict(), ensure_ascii=False)}
    storage.write_bytes(_file(run), save(arrays, about))


def read_kept_probe(run: Path) -> KeptProbe | None:
    """What `keep_probe` wrote; None where there is none, or it cannot be read."""
    try:
        with safe_open(_file(run), framework="numpy") as file:
            about = file.metadata() or {}
            return KeptProbe(
                weight=file.get_tensor("weight"),
                bias=file.get_tensor("bias"),
                task=tasks.from_dict(json.loads(about["task"])),
                base_digest=about["base"],
            )
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, TunesmithError):
        return None


def _file(run: Path) -> Path:
    return run / "probe.safetensors"
