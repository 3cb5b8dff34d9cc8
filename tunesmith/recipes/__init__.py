"""One straight-line file a procedure."""

from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._run import Run
from tunesmith.recipes.demo import demo
from tunesmith.recipes.evaluate import Evaluation, evaluate
from tunesmith.recipes.predict import predict
from tunesmith.recipes.train import resume, train

__all__ = [
    "Evaluation",
    "Listener",
    "Run",
    "Silent",
    "demo",
    "evaluate",
    "predict",
    "resume",
    "train",
]
