"""What listens to the training loop."""

from tunesmith.training.callbacks._callback import Callback, EpochRecord
from tunesmith.training.callbacks._metrics_log import MetricsLog

__all__ = ["Callback", "EpochRecord", "MetricsLog"]
