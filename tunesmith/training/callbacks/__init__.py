"""What listens to the training loop."""

from tunesmith.training.callbacks._callback import Callback, EpochRecord
from tunesmith.training.callbacks._metrics_log import MetricsLog
from tunesmith.training.callbacks._trackers import Trackers, check_trackers

__all__ = ["Callback", "EpochRecord", "MetricsLog", "Trackers", "check_trackers"]
