"""Trials in processes of their own: limits, failures, ends of every kind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tunesmith.search import Limits, Range, Space, Study, ValueList

from .conftest import Ran

_PATIENCE_S = 60

MakeStudy = Callable[..., Study]
RunSearch = Callable[..., Ran]


def test_trials_run_until_there_are_enough(make_study: MakeStudy, run_search: RunSearch) -> None:
    study = make_study()
    study.enqueue({"training.learning_rate": 0.1, "training.epochs": 4})
    ran = run_search(study, num_trials=4)
    assert ran.ending == "trials"
    assert [trial.number for trial in study.trials()] == [0, 1, 2, 3]
    assert ran.trials == list(study.trials())
    first = ran.trials[0]
    assert first.settings == {"training.learning_rate": 0.1, "training.epochs": 4}
    assert first.metric == pytest.approx(0.9)
    assert [epoch for epoch, _, _ in first.epochs] == [0, 1, 2, 3, 4]
    assert {trial.state for trial in ran.trials} <= {"complete", "pruned"}
    assert "libraries may print" in (study.trial_folder(0) / "log.txt").read_text()
    assert study.spent_s > 0


def test_a_failed_trial_is_noted_and_the_search_goes_on(
    make_study: MakeStudy, run_search: RunSearch
) -> None:
    study = make_study()
    ran = run_search(study, {0: "fail", 1: "crash", 2: "die"}, num_trials=4)
    assert ran.ending == "trials"
    assert [trial.state for trial in ran.trials[:3]] == ["failed"] * 3
    assert ran.trials[0].reason == "the loss is nan at step 3"
    assert ran.trials[1].reason == "ValueError: what nobody thought of"
    assert ran.trials[2].reason == "out of memory: the system ended its process"
    assert ran.trials[3].state == "complete"
    assert "and more" in (study.trial_folder(1) / "log.txt").read_text()


def test_a_search_in_which_nothing_works_ends_early(
    make_study: MakeStudy, run_search: RunSearch
) -> None:
    ran = run_search(make_study(), "fail", num_trials=50, jobs=2)
    assert ran.ending == "failures"
    assert 5 <= len(ran.trials) <= 6


def test_too_much_memory(make_study: MakeStudy, run_search: RunSearch) -> None:
    ran = run_search(
        make_study(), {0: "eat"}, num_trials=2, limits=Limits(memory_bytes=300_000_000)
    )
    assert ran.trials[0].state == "failed"
    assert ran.trials[0].reason == "out of memory: took more than 300 MB"
    assert ran.trials[1].state == "complete"


def test_too_much_time_ends_what_the_trial_started_too(
    make_study: MakeStudy, run_search: RunSearch
) -> None:
    study = make_study()
    ran = run_search(study, {0: "sleep"}, num_trials=1, limits=Limits(seconds=1.5))
    assert (ran.trials[0].state, ran.trials[0].reason) == ("failed", "took longer than 1.5 s")
    assert ran.trials[0].epochs == ((1, 4, 0.5),)
    _wait_until_gone(json.loads((study.trial_folder(0) / "pids.json").read_text()))


def test_time_is_up(make_study: MakeStudy, run_search: RunSearch) -> None:
    study = make_study()
    ran = run_search(study, {1: "sleep"}, num_trials=9, budget_s=2.5)
    assert ran.ending == "budget"
    assert [trial.state for trial in ran.trials] == ["complete", "stopped"]
    assert study.num_counted == 1
    # What was cut short comes first when there is more time.
    again = run_search(make_study(), num_trials=2, budget_s=60.0)
    assert again.ending == "trials"
    assert again.trials[0].settings == ran.trials[1].settings


def test_trials_side_by_side(make_study: MakeStudy, run_search: RunSearch) -> None:
    study = make_study()
    running: list[int] = []

    def stop_when_all_run() -> bool:
        running[:] = [one.number for one in study.trials() if one.state == "running"]
        return len(running) == 3

    ran = run_search(study, "sleep", num_trials=9, jobs=3, should_stop=stop_when_all_run)
    assert ran.ending == "user"
    assert running == [0, 1, 2]
    assert [trial.state for trial in ran.trials] == ["stopped"] * 3


def test_a_space_that_was_tried_out(make_study: MakeStudy, run_search: RunSearch) -> None:
    space = Space(
        {
            "training.epochs": Range(1, 2),
            "training.optimizer": ValueList(("adamw", "lion")),
        }
    )
    ran = run_search(make_study(space), num_trials=30, jobs=2)
    assert ran.ending == "space"
    assert len({tuple(one.settings.items()) for one in ran.trials}) == len(ran.trials) == 4


_SEARCH = """
import json, sys
from pathlib import Path
from tunesmith.search import Limits, Study, parse_space, search

space = parse_space({"training.epochs": {"low": 2, "high": 9}})
study = Study(Path(sys.argv[1]), space, seed=1, num_trials=9)

def prepare(trial):
    wanted = {"behaviour": "sleep", "settings": dict(trial.settings)}
    (study.trial_folder(trial.number) / "trial.json").write_text(json.dumps(wanted))

search(
    study, "trials_for_tests", num_trials=9, jobs=2, limits=Limits(), prepare=prepare,
    on_trial=print, should_stop=lambda: False,
)
"""


def test_trials_end_when_the_search_is_killed(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    killed = subprocess.Popen([sys.executable, "-c", _SEARCH, str(folder)])
    try:
        files = [folder / f"trials/{number:03d}/pids.json" for number in range(2)]
        pids = [pid for file in files for pid in json.loads(_wait_for(file))]
    finally:
        killed.kill()
        killed.wait()
    assert len(pids) == 4
    _wait_until_gone(pids)
    # The study knows which trials were lost, and begins with these.
    study = make_study(Space({"training.epochs": Range(2, 9)}))
    lost = study.trials()
    assert {(one.state, one.reason) for one in lost} == {
        ("stopped", "the search was killed while it ran")
    }
    assert len(lost) == 2
    asked = [study.ask(), study.ask()]
    assert [one.settings for one in asked if one] == [one.settings for one in lost]


def _wait_for(file: Path) -> str:
    deadline = time.monotonic() + _PATIENCE_S
    while not (file.is_file() and file.read_text()):
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.05)
    return file.read_text()


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, f"some of {pids} never ended"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
