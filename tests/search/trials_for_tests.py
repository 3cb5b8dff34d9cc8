"""Trials without a model, for the search to run: `python -m tunesmith.search trials_for_tests …`.

A trial's folder has `trial.json`: what it should do, and the settings that it was given.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesmith.errors import TrainingError

Report = Callable[[int, int, float], None]


def run_trial(folder: Path, report: Report) -> float:
    """Does what is asked; the metric is best for a rate of 0.1 and many epochs."""
    wanted: dict[str, Any] = json.loads((folder / "trial.json").read_text())
    print("libraries may print what they like")  # noqa: T201 - it must not reach the search
    behaviour = wanted.get("behaviour", "learn")
    if behaviour == "fail":
        raise TrainingError("the loss is nan at step 3")
    if behaviour == "crash":
        raise ValueError("what nobody thought of\nand more")
    if behaviour == "die":
        os.kill(os.getpid(), 9)
    if behaviour == "sleep":
        _sleep(folder, report)
    if behaviour == "eat":
        _eat()
    return _learn(wanted["settings"], report)


def _learn(settings: dict[str, Any], report: Report) -> float:
    epochs = int(settings.get("training.epochs", 3))
    rate = float(settings.get("training.learning_rate", 0.1))
    metric = 0.0
    for epoch in range(epochs + 1):
        metric = max(0.0, 0.9 - abs(rate - 0.1)) * epoch / epochs
        report(epoch, epochs, metric)
    return metric


def _sleep(folder: Path, report: Report) -> None:
    """Starts a process of its own and says so; both would go on for ever."""
    code = "import time\nwhile True: time.sleep(1)"
    child = subprocess.Popen([sys.executable, "-c", code])
    (folder / "pids.json").write_text(json.dumps([os.getpid(), child.pid]))
    report(1, 4, 0.5)
    while True:
        time.sleep(1)


def _eat() -> None:
    held = []
    while True:
        held.append(b"x" * 10_000_000)
        time.sleep(0.01)
