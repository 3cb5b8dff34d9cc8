"""What a study remembers, and what it asks for next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.search import Point, Range, Space, Study

from .conftest import SPACE

MakeStudy = Callable[..., Study]

_EPOCHS = 6


def run(study: Study, quality: float | None = None) -> Point:
    """Asks for a trial and completes it; the best rate is 0.1, unless the quality is given."""
    trial = study.ask()
    assert trial is not None
    rate = trial.settings["training.learning_rate"]
    assert isinstance(rate, float)
    metric = 0.9 - abs(rate - 0.1) if quality is None else quality
    for epoch in range(_EPOCHS + 1):
        if study.report(trial.number, epoch, _EPOCHS, metric * (0.5 + epoch / _EPOCHS / 2)):
            study.prune(trial.number, 1.0)
            return dict(trial.settings)
    study.complete(trial.number, metric, 1.0)
    return dict(trial.settings)


def test_the_same_seed_asks_for_the_same(make_study: MakeStudy, tmp_path: Path) -> None:
    asked = [run(make_study()) for _ in range(7)]  # opened anew for each trial
    (tmp_path / "again").mkdir()
    again = Study(tmp_path / "again", SPACE, seed=1, num_trials=10)
    assert [run(again) for _ in range(7)] == asked
    (tmp_path / "other").mkdir()
    other = Study(tmp_path / "other", SPACE, seed=2, num_trials=10)
    assert run(other) != asked[0]
    assert len({tuple(point.items()) for point in asked}) == 7


def test_the_search_learns(make_study: MakeStudy) -> None:
    space = {"training.learning_rate": Range(0.0, 1.0), "training.epochs": Range(2, 9)}
    study = make_study(Space(space), num_trials=20)
    rates = [run(study)["training.learning_rate"] for _ in range(20)]
    misses = [abs(float(str(rate)) - 0.1) for rate in rates]
    assert sum(misses[14:]) < sum(misses[:6])
    importance = study.importance()
    assert list(importance) == ["training.learning_rate", "training.epochs"]
    assert sum(importance.values()) == pytest.approx(1.0)


def test_there_is_no_importance_in_few_trials_or_none_that_differ(make_study: MakeStudy) -> None:
    study = make_study()
    for _ in range(3):
        run(study)
    assert study.importance() == {}


def test_worse_trials_are_ended_early_but_never_the_first(make_study: MakeStudy) -> None:
    study = make_study(num_trials=40)
    for quality in [0.2, *[0.8] * 10, *[0.3] * 10]:
        run(study, quality)
    states = [trial.state for trial in study.trials()]
    assert states[0] == "complete"
    assert states[11:].count("pruned") >= 6
    pruned = next(trial for trial in study.trials() if trial.state == "pruned")
    epoch, num_epochs, _ = pruned.epochs[-1]
    assert 0 < epoch < num_epochs == _EPOCHS
    assert pruned.metric is None
    assert study.num_counted == 21


def test_failed_settings_are_kept_away_from(make_study: MakeStudy) -> None:
    study = make_study(Space({"training.learning_rate": Range(0.0, 1.0)}), num_trials=30)
    high: list[bool] = []
    for _ in range(24):
        trial = study.ask()
        assert trial is not None
        rate = float(str(trial.settings["training.learning_rate"]))
        high.append(rate > 0.5)
        if rate > 0.5:
            study.fail(trial.number, "out of memory", 1.0)
        else:
            study.complete(trial.number, 0.5, 1.0)
    assert sum(high[12:]) < sum(high[:12])
    assert all(not one.is_counted or one.state in ("complete", "failed") for one in study.trials())


def test_what_was_stopped_comes_again(make_study: MakeStudy) -> None:
    study = make_study()
    run(study)
    stopped = study.ask()
    assert stopped is not None
    study.stop(stopped.number, "the search ended before it", 3.0)
    again = make_study()
    assert again.num_counted == 1
    assert [trial.state for trial in again.trials()] == ["complete", "stopped"]
    asked = again.ask()
    assert asked is not None
    assert asked.settings == stopped.settings
    assert asked.number == 2


def test_settings_that_kill_the_search_are_given_up(make_study: MakeStudy) -> None:
    asked: list[Point] = []
    for _ in range(4):
        trial = make_study().ask()  # and here it is killed
        assert trial is not None
        asked.append(dict(trial.settings))
    assert asked[0] == asked[1] == asked[2] != asked[3]
    states = [trial.state for trial in make_study().trials()]
    assert states == ["stopped", "stopped", "failed", "stopped"]


def test_a_kill_between_result_and_journal_loses_nothing(make_study: MakeStudy) -> None:
    study = make_study()
    trial = study.ask()
    assert trial is not None
    saved = {**trial.as_dict(), "state": "complete", "metric": 0.7}
    (study.trial_folder(0) / "result.json").write_text(json.dumps(saved))
    again = make_study()
    assert [(one.state, one.metric) for one in again.trials()] == [("complete", 0.7)]
    assert run(again) != trial.settings


def test_a_torn_journal_and_a_lock_left_behind(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study()
    run(study)
    journal = tmp_path / "study" / "journal.log"
    with journal.open("ab") as opened:
        opened.write(b'{"op_code":4,"worker')
    (tmp_path / "study" / "journal.log.lock").symlink_to(journal)
    again = make_study()
    run(again)
    assert [trial.state for trial in make_study().trials()] == ["complete", "complete"]


def test_the_first_point_is_tried_once(make_study: MakeStudy) -> None:
    point = {"training.learning_rate": 0.25, "training.epochs": 4}
    for _ in range(3):
        make_study().enqueue(point, once=True)
    study = make_study()
    assert run(study) == point
    study.enqueue(point, once=True)
    assert run(study) != point


def test_time_spent_is_remembered(make_study: MakeStudy) -> None:
    make_study().note_spent(12.345)
    assert make_study().spent_s == 12.35 or make_study().spent_s == 12.34
