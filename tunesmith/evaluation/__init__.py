"""Figures with intervals, baselines to beat, and the report that a client reads."""

from __future__ import annotations

from tunesmith.evaluation._baselines import Baseline, MajorityBaseline, TfidfBaseline
from tunesmith.evaluation._card_parts import ModelCard
from tunesmith.evaluation._cross_validation import CrossValidation, FoldFigures
from tunesmith.evaluation._evaluate import (
    Mistake,
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._folds import Spread, spread
from tunesmith.evaluation._forgetting import (
    Answers,
    Forgetting,
    LabelChange,
    judge_forgetting,
)
from tunesmith.evaluation._model_card import CardFacts, Cost, model_card
from tunesmith.evaluation._report import Candidate, Report
from tunesmith.evaluation._section import Section
from tunesmith.evaluation._thresholds import choose_thresholds

__all__ = [
    "Answers",
    "Baseline",
    "Candidate",
    "CardFacts",
    "Cost",
    "CrossValidation",
    "FoldFigures",
    "Forgetting",
    "LabelChange",
    "MajorityBaseline",
    "Mistake",
    "ModelCard",
    "Report",
    "Section",
    "Spread",
    "TfidfBaseline",
    "choose_thresholds",
    "confusion_matrix",
    "evaluate",
    "judge_forgetting",
    "model_card",
    "most_confident_mistakes",
    "paired_difference",
    "spread",
]
