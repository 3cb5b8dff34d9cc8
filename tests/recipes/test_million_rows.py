"""A million rows read, split, tokenised and trained on in little memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import WORDS

NUM_ROWS = 1_000_000
NUM_STEPS = 50
LIMIT_BYTES = 2e9


def write_rows(file: Path) -> None:
    """Different texts of about 80 characters, with one of 97 labels each."""
    words = np.array(WORDS.split())
    generator = np.random.default_rng(0)
    with file.open("w", encoding="utf-8") as opened:
        opened.write("text,label\n")
        for row in range(NUM_ROWS):
            if row % 10_000 == 0:
                drawn = words[generator.integers(0, len(words), (10_000, 14))].tolist()
            opened.write(f"{' '.join(drawn[row % 10_000])} {row},label {row * row % 97}\n")


def read_and_train(file: Path, base: Path, cache: Path) -> dict[str, object]:
    """What a run does up to its first steps; says what came of it, and the most memory it took."""
    from tunesmith.bases import load_tokenizer, new_classifier, set_threads, tokenize
    from tunesmith.bases._token_cache import TokenCache
    from tunesmith.config import DataConfig
    from tunesmith.data import overlap
    from tunesmith.errors import Interrupted
    from tunesmith.recipes import Silent
    from tunesmith.recipes._prepare import prepare_data
    from tunesmith.training import FitSettings, Rows, Supervised, fit

    config = DataConfig(source=str(file), validation_fraction=0.0005)
    data = prepare_data(config, 0, Silent())
    task, split = data.task, data.split
    assert split.test is not None
    shared = [*overlap(split.train, split.validation), *overlap(split.train, split.test)]
    tokenizer = load_tokenizer(base)
    parts = (split.train, split.validation, split.test)
    tokens = [tokenize(tokenizer, part.inputs, 64, cache=TokenCache(cache)) for part in parts]
    encoded = [task.encode(part.targets or []) for part in parts]

    class Stopping:
        """Stops after some steps, as a user would."""

        num_steps = 0

        def on_step(self, step: int, loss: float, rate: float) -> None:
            self.num_steps = step
            if step == NUM_STEPS:
                signal.raise_signal(signal.SIGINT)

        def on_start(self, total_steps: int, first_step: int) -> None: ...
        def on_less_memory(self, max_tokens: int) -> None: ...
        def on_epoch(self, record: object) -> None: ...
        def on_end(self) -> None: ...

    stopping = Stopping()
    set_threads(1)  # of so small a model more would only wait for each other
    with pytest.raises(Interrupted):
        fit(
            new_classifier(base, "mean", len(task.labels)),
            Rows(tokens[0], encoded[0]),
            Rows(tokens[1], encoded[1]),
            objective=task.objective,
            criterion=Supervised(task.objective),
            judge=lambda scores: float((scores.argmax(axis=1) == encoded[1]).mean()),
            settings=FitSettings(epochs=1, batch_size=32),
            callbacks=(stopping,),
        )
    return {
        "fingerprint": data.facts["fingerprint"],
        "sizes": [len(part) for part in parts],
        "labels": len(task.labels),
        "shared": len(shared),
        "lengths": [len(part.lengths) for part in tokens],
        "mapped": [isinstance(part.ids.base, np.memmap) for part in tokens],
        "steps": stopping.num_steps,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    """The most memory that this program held.

    Not `ru_maxrss`: a started program takes over in it what its parent held, which here is the
    other tests' memory.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    held = dict(line.split(":", 1) for line in lines)
    return int(held["VmHWM"].split()[0]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_million_rows_take_less_than_two_gigabytes(tiny_base: Path, tmp_path: Path) -> None:
    file = tmp_path / "million.csv"
    write_rows(file)
    arguments = [str(file), str(tiny_base), str(tmp_path / "cache")]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak_bytes"] < LIMIT_BYTES, f"{found['peak_bytes'] / 1e6:,.0f} MB"
    assert found["sizes"] == found["lengths"]
    assert sum(found["sizes"]) == NUM_ROWS
    assert found["sizes"] == pytest.approx([899_500, 500, 100_000], rel=0.2)
    assert found["mapped"] == [True, False, True]
    assert (found["labels"], found["shared"], found["steps"]) == (49, 0, NUM_STEPS)
    assert len(found["fingerprint"]) == 64


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_and_train(*map(Path, sys.argv[1:]))))
