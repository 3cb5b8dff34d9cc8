"""`tunesmith evaluate --cross-validate`."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import QUICK, Invoke


def test_the_line_of_the_guide(invoke: Invoke, small: Path) -> None:
    data, base = small / "topics.csv", small / "base"
    common = ("--target", "topic", "--method", "probe", "--base", base, *QUICK)
    done = invoke("evaluate", "--cross-validate", 3, data, *common, "--output", "out")
    assert done.code == 0, done.err
    assert "frozen encoder + linear head, 3 folds:" in done.out
    assert Path("out/cross_validation.html").is_file()
    again = invoke("evaluate", "--cross-validate", 3, data, *common, "--output", "out")
    assert again.code == 2
    assert "has finished" in again.err
    resumed = invoke("evaluate", "--resume", "out")
    assert resumed.code == 2
    assert "has finished" in resumed.err


def test_json(invoke: Invoke, small: Path) -> None:
    done = invoke(
        "evaluate", small / "topics.csv", "--cross-validate", 2, "--method", "probe",
        "--base", small / "base", "--json", *QUICK,
    )  # fmt: skip
    found = json.loads(done.out)
    assert found["num_folds"] == 2
    assert len(found["folds"]) == 2
    assert Path(found["predictions"]).is_file()


def test_arguments_that_do_not_go_together(invoke: Invoke, small: Path) -> None:
    data, run = small / "topics.csv", small / "run"
    cases = {
        "a bundle and a data file are needed": (run,),
        "--method, --jobs: only with --cross-validate": (
            run,
            data,
            "--method",
            "full",
            "--jobs",
            2,
        ),
        "trains its own models": (run, data, "--cross-validate", 5),
        "no data file was given": ("--cross-validate", 5),
        "there are 1 folds": (data, "--cross-validate", 1),
        "given as well: --cross-validate, --seed": (
            "--resume",
            run,
            "--cross-validate",
            2,
            "--seed",
            1,
        ),
        "is no cross-validation": ("--resume", run),
    }
    for message, arguments in cases.items():
        done = invoke("evaluate", *arguments)
        assert done.code == 2, message
        assert message in done.err
