"""What training minimises: one file a criterion, one protocol for all."""

from tunesmith.training.criteria._balanced import FEWEST_BATCHES
from tunesmith.training.criteria._contrastive import Contrastive
from tunesmith.training.criteria._criterion import Criterion
from tunesmith.training.criteria._distilled import Distilled, lessons
from tunesmith.training.criteria._losses import mean_loss, row_losses, teacher_losses
from tunesmith.training.criteria._supervised import Supervised
from tunesmith.training.criteria._weights import balanced_weights

__all__ = [
    "FEWEST_BATCHES",
    "Contrastive",
    "Criterion",
    "Distilled",
    "Supervised",
    "balanced_weights",
    "lessons",
    "mean_loss",
    "row_losses",
    "teacher_losses",
]
