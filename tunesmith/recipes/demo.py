"""The main job on an embedded sample, for a first look."""

from __future__ import annotations

from tunesmith import config
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._run import Run
from tunesmith.recipes.train import train
from tunesmith.samples import sample

__all__ = ["demo"]

# A quarter of some hundred rows: with a tenth the intervals would be too wide to say anything.
_TEST_FRACTION = 0.25


def demo(name: str, *, output: str | None = None, listener: Listener | None = None) -> Run:
    """Trains on the embedded sample `name`; its rows with missing values are left out.

    Raises:
        ConfigError: there is no such sample.
        OutputError: the output folder is taken.
    """
    chosen = sample(name)
    settings = {
        "data.source": str(chosen.path),
        "data.target": chosen.target,
        "data.text": (chosen.text,),
        "data.drop_missing": True,
        "data.test_fraction": _TEST_FRACTION,
        "data.split": "stratified",  # of some hundred rows, chance would share out unevenly
        "output": output,
    }
    return train(config.load(settings=settings), listener)
