"""The training loop and what it is made of."""

from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._fit import FitResult, FitSettings, Rows, fit
from tunesmith.training._probe import fit_linear_head
from tunesmith.training.callbacks import Callback, EpochRecord, MetricsLog

__all__ = [
    "Callback",
    "Checkpoints",
    "EpochRecord",
    "FitResult",
    "FitSettings",
    "MetricsLog",
    "Rows",
    "fit",
    "fit_linear_head",
]
