"""What a fit is decided by, what goes in, and what comes out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import Precision, TokenSource
from tunesmith.config import Optimizer, Schedule
from tunesmith.training.callbacks import EpochRecord

__all__ = ["FitResult", "FitSettings", "Rows"]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Values that a fit is decided by; see `tunesmith.config.TrainingConfig` for each.

    `keep_start` says whether the weights before the first step may be chosen as the best.
    `keep_last` keeps the last epoch's weights, whatever the validation rows say.
    `end_after` ends training after this epoch, with the rates of a schedule of all `epochs`.
    `sharding` has a meaning where several processes train together.
    `time_limit_s` ends training after the step in which it is over; None: never.
    """

    epochs: int
    batch_size: int = 32
    max_tokens: int | None = None
    optimizer: Optimizer = "adamw"
    learning_rate: float = 5e-5
    momentum: float = 0.9
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    schedule: Schedule = "linear"
    warmup_fraction: float = 0.1
    clip_norm: float = 1.0
    averaging: Literal["ema", "soup", "none"] = "ema"
    average_decay: float = 0.0
    dropout: float = 0.0
    adapter_dropout: float = 0.0
    patience: int | None = None
    precision: Precision = "fp32"
    sharding: Literal["none", "full"] = "none"
    keep_start: bool = True
    keep_last: bool = False
    end_after: int | None = None
    time_limit_s: float | None = None
    seed: int = 42

    def facts(self) -> dict[str, Any]:
        """What a reader wants to know of it, as JSON values: how the weights were trained."""
        own = asdict(self)
        for inner in ("keep_start", "keep_last", "end_after", "time_limit_s", "seed"):
            del own[inner]
        return own


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokenised rows and their targets, as the task encodes them."""

    tokens: TokenSource
    targets: NDArray[np.float32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a fit came to: the model holds the weights of epoch `best_epoch`.

    `out_of_time` says that the time limit ended it.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    out_of_time: bool = False
