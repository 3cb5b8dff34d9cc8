"""Studies of trials that need no model; see `trials_for_tests.py` for what these do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.search import Ending, Limits, Space, Study, Trial, parse_space, search

MODULE = "trials_for_tests"
SPACE = parse_space(
    {
        "training.learning_rate": {"low": 0.001, "high": 1.0},
        "training.epochs": {"low": 2, "high": 9},
    }
)


@pytest.fixture(autouse=True)
def _trials_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials' processes import the module of trials from here."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    def make(space: Space = SPACE, *, seed: int = 1, num_trials: int = 10) -> Study:
        (tmp_path / "study").mkdir(exist_ok=True)
        return Study(tmp_path / "study", space, seed=seed, num_trials=num_trials)

    return make


class Ran:
    """What a search came to."""

    def __init__(self) -> None:
        self.ending: Ending = "trials"
        self.trials: list[Trial] = []


@pytest.fixture
def run_search() -> Callable[..., Ran]:
    """Searches with trials that do as `behaviours` says: of each number, or all alike."""

    def run(
        study: Study,
        behaviours: dict[int, str] | str = "learn",
        limits: Limits | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        **given: Any,
    ) -> Ran:
        ran = Ran()

        def prepare(trial: Trial) -> None:
            number = trial.number
            behaviour = (
                behaviours if isinstance(behaviours, str) else behaviours.get(number, "learn")
            )
            wanted = {"behaviour": behaviour, "settings": dict(trial.settings)}
            (study.trial_folder(number) / "trial.json").write_text(json.dumps(wanted))

        ran.ending = search(
            study,
            MODULE,
            limits=limits or Limits(),
            prepare=prepare,
            on_trial=ran.trials.append,
            should_stop=should_stop,
            **given,
        )
        return ran

    return run
