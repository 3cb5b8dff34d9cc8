"""Ctrl-C in the middle of training, for real."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from .conftest import QUICK, Invoke

_PATIENCE_S = 120


def test_ctrl_c_and_resume(invoke: Invoke, command: list[str], small: Path) -> None:
    settings = (
        *("train", str(small / "topics.csv"), "--base", str(small / "base"), "--method", "full"),
        *("--set", "training.batch_size=2", *QUICK),
    )
    process = subprocess.Popen(
        [*command, *settings, "--output", "stopped", "--epochs", "12"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        _wait_for(Path("stopped/metrics.jsonl"), '"event": "step", "step": 50')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert not out
    assert "Traceback" not in err
    assert "a checkpoint was kept\n  → tunesmith train --resume stopped\n" in err
    assert {path.name for path in Path("stopped").iterdir()} == {
        *("checkpoints", "config.yaml", "metrics.jsonl", "pinned.json", "plan.json")
    }
    assert invoke("train", "--resume", "stopped").code == 0
    assert Path("stopped/bundle/manifest.json").is_file()
    assert not Path("stopped/checkpoints").exists()


def _wait_for(file: Path, text: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not (file.is_file() and text in file.read_text()):
        assert time.monotonic() < deadline, f"{text} never stood in {file}"
        time.sleep(0.05)
