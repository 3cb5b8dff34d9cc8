"""One member of a study, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tunesmith.search._space import Scalar

__all__ = ["State", "Trial"]

State: TypeAlias = Literal["running", "complete", "pruned", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Trial:
    """Some settings, and how well they did on the validation rows.

    Attributes:
        number: counted from 0 in the order of their start; names the trial's folder.
        settings: dotted name → value, for the settings that the study varies.
        state: complete; pruned: ended early, for others did better after the same share of their
            epochs; failed: see `reason`; stopped: it was not its fault, and it is tried again.
        metric: the leading metric on the validation rows, 0 to 1; None unless complete.
        epochs: (epoch, epochs in all, metric) as they were reported.
        seconds: from the start of its process to its end.
        reason: why it failed or was stopped, in a clause.
    """

    number: int
    settings: Mapping[str, Scalar]
    state: State
    metric: float | None = None
    epochs: tuple[tuple[int, int, float], ...] = field(default=(), repr=False)
    seconds: float = 0.0
    reason: str = ""

    @property
    def is_counted(self) -> bool:
        """Whether it is one of the trials that were asked for."""
        return self.state in ("complete", "pruned", "failed")

    def as_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "state": self.state,
            "metric": self.metric,
            "settings": dict(self.settings),
            "epochs": [list(one) for one in self.epochs],
            "seconds": round(self.seconds, 2),
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Trial:
        """The trial that `as_dict` described."""
        epochs = tuple((int(a), int(b), float(metric)) for a, b, metric in saved["epochs"])
        return cls(**{**saved, "epochs": epochs})
