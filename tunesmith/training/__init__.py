"""The training loop and what it is made of."""

from tunesmith.training._checkpoints import Checkpoints
from tunesmith.training._fit import fit
from tunesmith.training._interrupts import stop_on_signals
from tunesmith.training._probe import fit_added_labels, fit_linear_head
from tunesmith.training._processes import Processes, join_processes
from tunesmith.training._settings import FitResult, FitSettings, Rows
from tunesmith.training._sharded_copy import can_shard
from tunesmith.training.callbacks import Callback, EpochRecord, MetricsLog
from tunesmith.training.criteria import Criterion, Supervised

__all__ = [
    "Callback",
    "Checkpoints",
    "Criterion",
    "EpochRecord",
    "FitResult",
    "FitSettings",
    "MetricsLog",
    "Processes",
    "Rows",
    "Supervised",
    "can_shard",
    "fit",
    "fit_added_labels",
    "fit_linear_head",
    "join_processes",
    "stop_on_signals",
]
