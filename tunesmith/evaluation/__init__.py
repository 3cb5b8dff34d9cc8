"""Figures with intervals, baselines to beat, and the report that a client reads."""

from __future__ import annotations

from tunesmith.evaluation._baselines import Baseline, MajorityBaseline, TfidfBaseline
from tunesmith.evaluation._evaluate import (
    Mistake,
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._report import Candidate, Report
from tunesmith.evaluation._thresholds import choose_thresholds

__all__ = [
    "Baseline",
    "Candidate",
    "MajorityBaseline",
    "Mistake",
    "Report",
    "TfidfBaseline",
    "choose_thresholds",
    "confusion_matrix",
    "evaluate",
    "most_confident_mistakes",
    "paired_difference",
]
