"""What a trial's process tells the search: one JSON object a line, on what was its standard output.

The search tells a trial nothing. It holds the other end of the trial's standard input, and when
that closes, because the search ended in whatever way, the trial ends too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

__all__ = ["EpochMessage", "FailureMessage", "Message", "ResultMessage", "read_message"]


@dataclass(frozen=True, slots=True)
class EpochMessage:
    """An epoch was validated; epoch 0 is what there was before the first."""

    epoch: int
    num_epochs: int
    metric: float


@dataclass(frozen=True, slots=True)
class ResultMessage:
    """The trial is done."""

    metric: float


@dataclass(frozen=True, slots=True)
class FailureMessage:
    """The trial could not go on."""

    reason: str


Message: TypeAlias = EpochMessage | ResultMessage | FailureMessage

_KINDS: Mapping[str, type[EpochMessage | ResultMessage | FailureMessage]] = {
    "epoch": EpochMessage,
    "result": ResultMessage,
    "failure": FailureMessage,
}


def write_message(message: Message) -> str:
    """The line that `read_message` reads."""
    kind = next(name for name, one in _KINDS.items() if isinstance(message, one))
    return json.dumps({"kind": kind, **asdict(message)}) + "\n"


def read_message(line: str) -> Message:
    """The message of one line."""
    values: dict[str, Any] = json.loads(line)
    return _KINDS[values.pop("kind")](**values)
