"""Studies and trials: which settings do best on the validation rows.

    study = Study(folder, space, seed=42, num_trials=30)
    study.enqueue(space.nearest(defaults))
    ending = search(study, "my.trials", num_trials=30, limits=Limits(), …)

Each trial is a process of its own, and knows nothing of the search. All names are imported on first
use: a trial's process, which passes through here, needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.search._choose import Choice, choose_trial
    from tunesmith.search._folder import StudyFile, StudyFolder
    from tunesmith.search._messages import (
        EpochMessage,
        FailureMessage,
        Message,
        ResultMessage,
    )
    from tunesmith.search._parse import (
        parse_space,
        read_space,
        searchable_settings,
        setting_value,
        with_settings,
    )
    from tunesmith.search._process import Limits, TrialProcess, memory_share
    from tunesmith.search._report import StudyReport
    from tunesmith.search._search import Ending, search
    from tunesmith.search._settings import SearchSettings, make_settings
    from tunesmith.search._space import Dimension, Point, Range, Scalar, Space, ValueList
    from tunesmith.search._study import Study
    from tunesmith.search._trial import State, Trial

__all__ = [
    "Choice",
    "Dimension",
    "Ending",
    "EpochMessage",
    "FailureMessage",
    "Limits",
    "Message",
    "Point",
    "Range",
    "ResultMessage",
    "Scalar",
    "SearchSettings",
    "Space",
    "State",
    "Study",
    "StudyFile",
    "StudyFolder",
    "StudyReport",
    "Trial",
    "TrialProcess",
    "ValueList",
    "choose_trial",
    "make_settings",
    "memory_share",
    "parse_space",
    "read_space",
    "search",
    "searchable_settings",
    "setting_value",
    "with_settings",
]

_FILES = {
    "_choose": ("Choice", "choose_trial"),
    "_folder": ("StudyFile", "StudyFolder"),
    "_parse": (
        *("parse_space", "read_space", "searchable_settings", "setting_value", "with_settings"),
    ),
    "_messages": ("EpochMessage", "FailureMessage", "Message", "ResultMessage"),
    "_process": ("Limits", "TrialProcess", "memory_share"),
    "_report": ("StudyReport",),
    "_search": ("Ending", "search"),
    "_settings": ("SearchSettings", "make_settings"),
    "_space": ("Dimension", "Point", "Range", "Scalar", "Space", "ValueList"),
    "_study": ("Study",),
    "_trial": ("State", "Trial"),
}


def __getattr__(name: str) -> Any:
    for file, names in _FILES.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(f"tunesmith.search.{file}"), name)
    raise AttributeError(name)
