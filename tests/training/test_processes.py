"""Two processes that train together have the losses and the weights of one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tunesmith.training import Processes

HERE = Path(__file__).parent

# Started by torchrun, each process writes its losses and its weights into a file of its own.
SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from safetensors.torch import save_file
from tiny import TOPICS, tiny_rows
from tunesmith.bases import new_classifier
from tunesmith.training import Checkpoints, FitSettings, Supervised, fit, join_processes

class Losses:
    heard = []
    def on_step(self, step, loss, rate): self.heard.append(loss)
    def on_start(self, total_steps, first_step): pass
    def on_less_memory(self, max_tokens): pass
    def on_epoch(self, record): pass
    def on_end(self): pass

base, out = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
processes = join_processes()
text = processes.from_first(lambda: "only the first may say this: ü")
model = new_classifier(base, "mean", len(TOPICS))
# Of 45 rows in batches of 4 the last has one row: the other process has none.
train, validation = tiny_rows(base, 45, seed=0), tiny_rows(base, 21, seed=1)
result = fit(
    model, train, validation, objective="cross-entropy", criterion=Supervised("cross-entropy"),
    judge=lambda scores: float((scores.argmax(axis=1) == validation.targets).mean()),
    settings=FitSettings(
        epochs=2, batch_size=4, learning_rate=1e-3, average_decay=0.9, max_tokens=30
    ),
    callbacks=[Losses()], checkpoints=Checkpoints(out / "checkpoints"),
)
facts = {{"losses": Losses.heard, "text": text, "size": processes.size, "best": result.best_epoch}}
(out / f"{{processes.rank}}.json").write_text(json.dumps(facts))
save_file(dict(model.state_dict()), str(out / f"{{processes.rank}}.safetensors"))
"""


def train(base: Path, out: Path, processes: int) -> list[tuple[dict[str, Any], Path]]:
    out.mkdir()
    file = out / "script.py"
    file.write_text(SCRIPT.format(tests=str(HERE.parent)))
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run([*start, str(file), str(base), str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [
        (json.loads((out / f"{i}.json").read_text()), out / f"{i}.safetensors")
        for i in range(processes)
    ]


@pytest.mark.slow
def test_two_processes_are_as_one(tiny_base: Path, tmp_path: Path) -> None:
    [(alone, expected)] = train(tiny_base, tmp_path / "one", 1)
    together = train(tiny_base, tmp_path / "two", 2)
    for facts, weights in together:
        assert facts["size"] == 2
        assert facts["text"] == alone["text"]
        assert facts["best"] == alone["best"]
        assert facts["losses"] == pytest.approx(alone["losses"], rel=1e-4)
        for name, value in load_file(weights).items():
            torch.testing.assert_close(value, load_file(expected)[name], atol=2e-5, rtol=1e-3)
    first, second = (load_file(weights) for _, weights in together)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert [path.name for path in (tmp_path / "two" / "checkpoints").iterdir()]


def test_alone_nothing_is_shared_out() -> None:
    alone = Processes()
    assert (alone.rank, alone.size, alone.is_first) == (0, 1, True)
    assert alone.sum(1.5) == 1.5
    assert alone.from_first(lambda: "text") == "text"
    weight = torch.nn.Parameter(torch.ones(2))
    alone.sum_gradients([weight])
    assert weight.grad is None
