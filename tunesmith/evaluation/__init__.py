"""Figures with intervals, baselines to beat, and the report that a client reads."""

from __future__ import annotations

from tunesmith.evaluation._baselines import Baseline, MajorityBaseline, TfidfBaseline
from tunesmith.evaluation._calibration import (
    CalibrationFigures,
    CalibrationSection,
    calibration_figures,
)
from tunesmith.evaluation._conformal import ConformalSection, conformal_section, fit_conformal
from tunesmith.evaluation._evaluate import (
    Mistake,
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._fit_calibration import FittedCalibration, fit_calibration
from tunesmith.evaluation._forgetting import (
    Answers,
    Forgetting,
    LabelChange,
    judge_forgetting,
)
from tunesmith.evaluation._report import Candidate, Report
from tunesmith.evaluation._scope import ScopeSection, auroc, fit_scope, scope_section
from tunesmith.evaluation._section import Section
from tunesmith.evaluation._selective import SelectiveSection, fit_selective, selective_section
from tunesmith.evaluation._thresholds import choose_thresholds

__all__ = [
    "Answers",
    "Baseline",
    "CalibrationFigures",
    "CalibrationSection",
    "Candidate",
    "ConformalSection",
    "FittedCalibration",
    "Forgetting",
    "LabelChange",
    "MajorityBaseline",
    "Mistake",
    "Report",
    "ScopeSection",
    "Section",
    "SelectiveSection",
    "TfidfBaseline",
    "auroc",
    "calibration_figures",
    "choose_thresholds",
    "conformal_section",
    "confusion_matrix",
    "evaluate",
    "fit_calibration",
    "fit_conformal",
    "fit_scope",
    "fit_selective",
    "judge_forgetting",
    "most_confident_mistakes",
    "paired_difference",
    "scope_section",
    "selective_section",
]
