"""Training that is killed at any moment ends, resumed, with the weights of an undisturbed one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

TESTS = Path(__file__).parent.parent
NUM_KILLS = 20

# One process brings torch and then forks for each life of the training, so that twenty kills take
# seconds; the first child is left alone, the others are killed with SIGKILL.
SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from safetensors.torch import save_file
from tiny import TOPICS, tiny_rows
from tunesmith.bases import new_classifier
from tunesmith.training import Checkpoints, FitSettings, MetricsLog, Supervised, fit

base, place, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
train, validation = tiny_rows(base, 240, seed=0), tiny_rows(base, 60, seed=1)

def live(folder):
    model = new_classifier(base, "mean", len(TOPICS), dropout=0.1)
    fit(
        model, train, validation,
        objective="cross-entropy", criterion=Supervised("cross-entropy"),
        judge=lambda scores: float((scores.argmax(axis=1) == validation.targets).mean()),
        settings=FitSettings(
            epochs=12, batch_size=8, learning_rate=1e-3, dropout=0.1, average_decay=0.9
        ),
        callbacks=[MetricsLog(folder / "metrics.jsonl", "full")],
        checkpoints=Checkpoints(folder / "checkpoints", interval_s=0.05),
        resume=True,
    )
    weights = {{name: value.contiguous() for name, value in model.state_dict().items()}}
    save_file(weights, str(folder / "weights.safetensors"))

def born(folder):
    child = os.fork()
    if child == 0:
        live(folder)
        os._exit(0)
    return child

def lines(folder):
    log = folder / "metrics.jsonl"
    return log.read_bytes().count(b"\\n") if log.exists() else 0

assert os.waitpid(born(place / "undisturbed"), 0)[1] == 0
moments, killed = random.Random(0), place / "killed"
for _ in range(kills):
    before, child = lines(killed), born(killed)
    while lines(killed) == before:  # until it trains
        time.sleep(0.002)
    time.sleep(moments.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
assert not (killed / "weights.safetensors").exists(), "the last kill must still find it training"
assert os.waitpid(born(killed), 0)[1] == 0
"""


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_the_same(tiny_base: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT.format(tests=str(TESTS)), str(tiny_base), str(tmp_path)]
    done = subprocess.run([*command, str(NUM_KILLS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed") == NUM_KILLS
    expected = load_file(tmp_path / "undisturbed" / "weights.safetensors")
    found = load_file(tmp_path / "killed" / "weights.safetensors")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert value.equal(found[name]), name
