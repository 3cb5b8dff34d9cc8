"""Why a model answers as it does: what each word adds, and whether that is to be believed."""

from tunesmith.explanation._attribution import METHODS, Attribution, Method, Predict
from tunesmith.explanation._drivers import Driver, LabelDrivers, find_drivers
from tunesmith.explanation._explainer import Explainer
from tunesmith.explanation._faithfulness import BINS, Faithfulness, measure_faithfulness
from tunesmith.explanation._gradients import GradientXInput, IntegratedGradients, log_odds_of
from tunesmith.explanation._leave_one_out import LeaveOneOut
from tunesmith.explanation._masked import masked
from tunesmith.explanation._neighbours import nearest_examples
from tunesmith.explanation._page import render_page, shades
from tunesmith.explanation._reading import Reading, read_texts, read_words
from tunesmith.explanation._results import (
    ExplainedText,
    Explanation,
    Neighbour,
    WordAttribution,
    signed,
)
from tunesmith.explanation._view import GlobalView

__all__ = [
    "BINS",
    "METHODS",
    "Attribution",
    "Driver",
    "ExplainedText",
    "Explainer",
    "Explanation",
    "Faithfulness",
    "GlobalView",
    "GradientXInput",
    "IntegratedGradients",
    "LabelDrivers",
    "LeaveOneOut",
    "Method",
    "Neighbour",
    "Predict",
    "Reading",
    "WordAttribution",
    "find_drivers",
    "log_odds_of",
    "masked",
    "measure_faithfulness",
    "nearest_examples",
    "read_texts",
    "read_words",
    "render_page",
    "shades",
    "signed",
]
