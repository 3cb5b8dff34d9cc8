"""One straight-line file a procedure."""

from typing import TYPE_CHECKING

from tunesmith.errors import MissingDependencyError
from tunesmith.recipes.doctor import Machine, examine, missing_packages

# `examine` must work where the others cannot, in order to say so.
if TYPE_CHECKING or not missing_packages("train"):
    from tunesmith.recipes._distilled import Distillation
    from tunesmith.recipes._listener import Listener, Silent
    from tunesmith.recipes._run import Run
    from tunesmith.recipes._study import FinishedStudy, check_resumed_alone, read_search
    from tunesmith.recipes.attempt import Attempt, attempt
    from tunesmith.recipes.check import Checked, check, require_page
    from tunesmith.recipes.compare import Compared, compare
    from tunesmith.recipes.cross_validate import (
        CrossValidated,
        cross_validate,
        resume_cross_validation,
    )
    from tunesmith.recipes.demo import demo
    from tunesmith.recipes.evaluate import Evaluation, evaluate
    from tunesmith.recipes.explain import (
        Explained,
        ExplainedData,
        explain,
        explain_data,
        explain_rows,
    )
    from tunesmith.recipes.fix import Fixed, fix, require_copy
    from tunesmith.recipes.optimize import ModelFigures, Optimized, optimize
    from tunesmith.recipes.predict import predict
    from tunesmith.recipes.review import OpenReview, review
    from tunesmith.recipes.train import resume, train
    from tunesmith.recipes.tune import resume_study, tune

__all__ = [
    "Attempt",
    "Checked",
    "Compared",
    "CrossValidated",
    "Distillation",
    "Evaluation",
    "Explained",
    "ExplainedData",
    "FinishedStudy",
    "Fixed",
    "Listener",
    "Machine",
    "ModelFigures",
    "OpenReview",
    "Optimized",
    "Run",
    "Silent",
    "attempt",
    "check",
    "check_resumed_alone",
    "compare",
    "cross_validate",
    "demo",
    "evaluate",
    "examine",
    "explain",
    "explain_data",
    "explain_rows",
    "fix",
    "optimize",
    "predict",
    "read_search",
    "require_copy",
    "require_page",
    "resume",
    "resume_cross_validation",
    "resume_study",
    "review",
    "train",
    "tune",
]

if not TYPE_CHECKING:  # for it would hide misspelt names

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(name)
        raise MissingDependencyError(
            f"{', '.join(missing_packages('train'))} not installed",
            mend="pip install 'tunesmith[train]'",
        )
