"""Figures with intervals, baselines to beat, and the report that a client reads."""

from __future__ import annotations

from tunesmith.evaluation._baselines import Baseline, MajorityBaseline, TfidfBaseline
from tunesmith.evaluation._errors import Errors, judge_errors
from tunesmith.evaluation._evaluate import (
    Mistake,
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._fairness import Fairness, judge_fairness
from tunesmith.evaluation._forgetting import (
    Answers,
    Forgetting,
    LabelChange,
    judge_forgetting,
)
from tunesmith.evaluation._perturbations import PERTURBATIONS, Perturbation
from tunesmith.evaluation._report import Candidate, Report
from tunesmith.evaluation._robustness import Robustness, judge_robustness
from tunesmith.evaluation._section import Section
from tunesmith.evaluation._slices import Slices, judge_slices
from tunesmith.evaluation._thresholds import choose_thresholds
from tunesmith.evaluation._weak_slices import WeakSlices, find_weak_slices

__all__ = [
    "PERTURBATIONS",
    "Answers",
    "Baseline",
    "Candidate",
    "Errors",
    "Fairness",
    "Forgetting",
    "LabelChange",
    "MajorityBaseline",
    "Mistake",
    "Perturbation",
    "Report",
    "Robustness",
    "Section",
    "Slices",
    "TfidfBaseline",
    "WeakSlices",
    "choose_thresholds",
    "confusion_matrix",
    "evaluate",
    "find_weak_slices",
    "judge_errors",
    "judge_fairness",
    "judge_forgetting",
    "judge_robustness",
    "judge_slices",
    "most_confident_mistakes",
    "paired_difference",
]
