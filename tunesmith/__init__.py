"""A file of labelled texts in; a fine-tuned, evaluated and served language model out.

    run = tunesmith.train("tickets.csv", target="team")
    run.report                                   # shows itself in a notebook
    model = tunesmith.load(run.bundle)
    model.predict(["the screen stays black"])
    tunesmith.serve(run.bundle)

Importing this module is quick: torch and its kin are imported by the first call that needs them.
"""

from __future__ import annotations

import os

from tunesmith._api._judging import compare, evaluate, explain, explain_data
from tunesmith._api._learning import check, cross_validate, resume, train, tune
from tunesmith._api._using import load, optimize, predict, serve
from tunesmith.errors import TunesmithError

__version__ = "0.1.0"

# Libraries that report home are told not to before any of them is imported.
for _variable in ("HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY"):
    os.environ.setdefault(_variable, "1")

__all__ = [
    "TunesmithError",
    "__version__",
    "check",
    "compare",
    "cross_validate",
    "evaluate",
    "explain",
    "explain_data",
    "load",
    "optimize",
    "predict",
    "resume",
    "serve",
    "train",
    "tune",
]
