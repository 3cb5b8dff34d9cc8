"""`tunesmith tune`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from .conftest import QUICK, Invoke

_PATIENCE_S = 120
_QUICK = (*QUICK, "--set", "training.threads=1", "--set", "training.batch_size=16")


def test_from_a_file_to_a_study_and_a_bundle(invoke: Invoke, small: Path) -> None:
    Path("space.yaml").write_text("training:\n  epochs: [1, 2]\n  learning_rate: [1e-3, 1e-4]\n")
    result = invoke(
        *("tune", small / "topics.csv", "--target", "topic", "--base", small / "base"),
        *("--method", "full", "--space", "space.yaml", "--trials", 2, "--jobs", 2),
        *("--memory", "8GB", "--trial-limit", "10m", "--output", "a study", *_QUICK),
    )
    assert result.code == 0, result.err
    assert "the test rows are put aside" in result.err
    assert "up to 2 trials, 2 at once, with 1 thread and at most 8.0 GB each" in result.err
    assert "the best so far" in result.err
    assert "All 2 trials are done." in result.err
    for word in ("validation accuracy", "settings", "epochs", "is the best on the validation rows"):
        assert word in result.out
    assert "on 10 unseen rows" in result.out
    assert "study   a study/study.html\nreport  a study/best/report.html\n" in result.out
    assert "bundle  a study/best/bundle\n" in result.out
    assert "tunesmith serve 'a study/best/bundle'" in result.out
    kept = yaml.safe_load(Path("a study/study.yaml").read_text())
    assert kept["search"] == {
        "trials": 2,
        "budget_s": None,
        "jobs": 2,
        "memory_bytes": 8_000_000_000,
        "trial_limit_s": 600.0,
    }
    assert kept["space"] == {
        "training.epochs": [1, 2],
        "training.learning_rate": [0.001, 0.0001],
    }


def test_bad_input(invoke: Invoke) -> None:
    Path("space.yaml").write_text("training.epoch: [1, 2]\n")
    result = invoke(
        *("tune", "none.csv", "--trials", 0, "--budget", "soon", "--memory", "4 apples"),
        *("--space", "space.yaml", "--set", "training.methd=full"),
    )
    assert result.code == 2
    for word in (
        "--trials: must be greater than or equal to 1",
        "--budget: must be a time such as 90s, 10m or 1h30m (got 'soon')",
        "--memory: must be a size such as 4GB or 512MB (got '4 apples')",
        "space.yaml: training.epoch: there is no such setting\n  → did you mean 'training.epochs'?",
        "did you mean 'training.method'?",
    ):
        assert word in result.err
    none = invoke("tune")
    assert (none.code, "no data file was given" in none.err) == (2, True)
    missing = invoke("tune", "none.csv")
    assert (missing.code, "none.csv" in missing.err) == (2, True)


def test_resume_takes_limits_only(invoke: Invoke, small: Path) -> None:
    result = invoke("tune", "x.csv", "--method", "full", "--resume", "study", "--space", "s.yaml")
    assert result.code == 2
    assert "given as well: data.source, training.method, --space" in result.err
    assert "tunesmith tune --resume study" in result.err
    none = invoke("tune", "--resume", small)
    assert (none.code, "is no study that can be resumed" in none.err) == (2, True)


@pytest.mark.slow
def test_ctrl_c_and_resume(invoke: Invoke, command: list[str], small: Path) -> None:
    Path("space.yaml").write_text("training.learning_rate: {low: 1e-4, high: 1e-2}\n")
    settings = (
        *("tune", str(small / "topics.csv"), "--base", str(small / "base"), "--method", "full"),
        *("--set", "training.epochs=200", "--space", "space.yaml", "--trials", "1", *_QUICK),
    )
    process = subprocess.Popen(
        [*command, *settings, "--output", "stopped"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        _wait_for(Path("stopped/trials/000/metrics.jsonl"), '"event": "epoch"')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert not out
    assert "Traceback" not in err
    assert "stopped after 0 of 1 trials\n  → tunesmith tune --resume stopped\n" in err
    # Two hundred epochs were only for the signal to come in time.
    study = Path("stopped/study.yaml")
    study.write_text(study.read_text().replace("epochs: 200", "epochs: 1"))
    resumed = invoke("tune", "--resume", "stopped", "--json")
    assert resumed.code == 0, resumed.err
    values = json.loads(resumed.out)
    assert values.keys() == {"study", "bundle", "best", "trials", "seconds"}
    assert [trial["state"] for trial in values["trials"]] == ["stopped", "complete"]
    assert values["trials"][0]["settings"] == values["trials"][1]["settings"]
    assert values["bundle"] == "stopped/best/bundle"


def _wait_for(file: Path, text: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not (file.is_file() and text in file.read_text()):
        assert time.monotonic() < deadline, f"{text} never stood in {file}"
        time.sleep(0.05)
