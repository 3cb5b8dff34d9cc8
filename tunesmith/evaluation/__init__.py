"""Figures with intervals, baselines to beat, and the report that a client reads."""

from __future__ import annotations

from tunesmith.evaluation._baselines import (
    Baseline,
    MajorityBaseline,
    TfidfBaseline,
    smoothed_shares,
)
from tunesmith.evaluation._calibration import (
    CalibrationFigures,
    CalibrationSection,
    calibration_figures,
)
from tunesmith.evaluation._calibration_change import calibration_change
from tunesmith.evaluation._card_parts import ModelCard
from tunesmith.evaluation._comparison import (
    ChangedRow,
    Comparison,
    compare_answers,
    joint_labels,
)
from tunesmith.evaluation._conformal import ConformalSection, conformal_section, fit_conformal
from tunesmith.evaluation._cross_validation import CrossValidation, FoldFigures
from tunesmith.evaluation._errors import Errors, judge_errors
from tunesmith.evaluation._evaluate import (
    Mistake,
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
)
from tunesmith.evaluation._expectations import Expectations, read_expectations
from tunesmith.evaluation._expected_names import KnownNames
from tunesmith.evaluation._explanations import ExplainedRow, Explanations, Piece
from tunesmith.evaluation._fairness import Fairness, judge_fairness
from tunesmith.evaluation._fit_calibration import FittedCalibration, fit_calibration
from tunesmith.evaluation._folds import Spread, spread
from tunesmith.evaluation._forgetting import (
    Answers,
    Forgetting,
    LabelChange,
    judge_forgetting,
)
from tunesmith.evaluation._model_card import CardFacts, Cost, model_card
from tunesmith.evaluation._paired import McNemar, mcnemar, paired_difference, paired_differences
from tunesmith.evaluation._perturbations import PERTURBATIONS, Perturbation
from tunesmith.evaluation._report import Candidate, Report
from tunesmith.evaluation._robustness import Robustness, judge_robustness
from tunesmith.evaluation._schema import report_schema
from tunesmith.evaluation._scope import ScopeSection, auroc, fit_scope, scope_section
from tunesmith.evaluation._section import Section
from tunesmith.evaluation._selective import SelectiveSection, fit_selective, selective_section
from tunesmith.evaluation._slices import Slices, judge_slices
from tunesmith.evaluation._thresholds import choose_thresholds
from tunesmith.evaluation._verdict import Outcome, Verdict, hold_against
from tunesmith.evaluation._weak_slices import WeakSlices, find_weak_slices

__all__ = [
    "PERTURBATIONS",
    "Answers",
    "Baseline",
    "CalibrationFigures",
    "CalibrationSection",
    "Candidate",
    "CardFacts",
    "ChangedRow",
    "Comparison",
    "ConformalSection",
    "Cost",
    "CrossValidation",
    "Errors",
    "Expectations",
    "ExplainedRow",
    "Explanations",
    "Fairness",
    "FittedCalibration",
    "FoldFigures",
    "Forgetting",
    "KnownNames",
    "LabelChange",
    "MajorityBaseline",
    "McNemar",
    "Mistake",
    "ModelCard",
    "Outcome",
    "Perturbation",
    "Piece",
    "Report",
    "Robustness",
    "ScopeSection",
    "Section",
    "SelectiveSection",
    "Slices",
    "Spread",
    "TfidfBaseline",
    "Verdict",
    "WeakSlices",
    "auroc",
    "calibration_change",
    "calibration_figures",
    "choose_thresholds",
    "compare_answers",
    "conformal_section",
    "confusion_matrix",
    "evaluate",
    "find_weak_slices",
    "fit_calibration",
    "fit_conformal",
    "fit_scope",
    "fit_selective",
    "hold_against",
    "joint_labels",
    "judge_errors",
    "judge_fairness",
    "judge_forgetting",
    "judge_robustness",
    "judge_slices",
    "mcnemar",
    "model_card",
    "most_confident_mistakes",
    "paired_difference",
    "paired_differences",
    "read_expectations",
    "report_schema",
    "scope_section",
    "selective_section",
    "smoothed_shares",
    "spread",
]
