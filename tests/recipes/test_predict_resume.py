"""Predicting that is stopped or killed, and goes on; and a long file in little memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny import labelled_rows

from tunesmith import recipes
from tunesmith.bundles import Bundle
from tunesmith.data import read_table
from tunesmith.errors import Interrupted, OutputError
from tunesmith.recipes import Run

from .conftest import Notes, Train

ROWS_A_PART = 256
NUM_ROWS = 3 * ROWS_A_PART + 100
LONG_ROWS = 300_000
LIMIT_BYTES = 600e6
_PATIENCE_S = 900


class Stopping(Notes):
    """Presses Ctrl-C once so many rows are done."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    def advance(self, rows: int) -> None:
        before, self._left = self._left, self._left - rows
        if self._left <= 0 < before:  # once: a second one would meet whatever runs by then
            os.kill(os.getpid(), signal.SIGINT)


def texts(num_rows: int) -> Iterator[str]:
    """Texts of many lengths, some of them empty."""
    known = [text for text, _ in labelled_rows(90)]
    for row in range(num_rows):
        yield "" if row % 97 == 0 else " ".join([known[row % 90]] * (1 + row % 3)) + f" {row}"


@pytest.fixture(autouse=True)
def _hears_ctrl_c() -> Iterator[None]:
    """Programs that a shell starts in the background ignore Ctrl-C, and so would the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # `tunesmith.recipes.predict` is the function, which hides its module of the same name.
    monkeypatch.setattr(sys.modules["tunesmith.recipes.predict"], "ROWS_A_PART", ROWS_A_PART)
    monkeypatch.setattr("tunesmith.recipes._predictions._ROWS_A_CALL", 64)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rows") / "rows.csv", NUM_ROWS)


def write(file: Path, num_rows: int) -> Path:
    with file.open("w", encoding="utf-8") as opened:
        opened.write("id,text\n")
        opened.writelines(f"{row},{text}\n" for row, text in enumerate(texts(num_rows)))
    return file


def stop(bundle: Bundle, rows: Path, output: Path) -> None:
    with pytest.raises(Interrupted, match=r"kept in .*\.partial"):
        recipes.predict(bundle, rows, output, listener=Stopping(2 * ROWS_A_PART + 128))


@pytest.mark.parametrize("suffix", ["csv", "jsonl.gz", "parquet"])
def test_stopped_and_resumed(finished: Run, rows: Path, tmp_path: Path, suffix: str) -> None:
    whole, again = tmp_path / f"whole.{suffix}", tmp_path / f"again.{suffix}"
    table = recipes.predict(finished.bundle, rows, whole)
    stop(finished.bundle, rows, again)
    assert not again.exists()
    parts = tmp_path / f"again.{suffix}.partial"
    before = {path.name: path.stat().st_ino for path in parts.glob("*.arrow")}
    assert 1 <= len(before) <= 2
    notes = Notes()
    recipes.predict(finished.bundle, rows, again, resume=True, listener=notes)
    kept = len(before) * ROWS_A_PART
    assert f"{kept:,} of {NUM_ROWS:,} rows were done before" in notes.said
    assert again.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [again.name, whole.name]
    assert read_table(whole).column("id") == table.column("id")


def test_each_row_has_the_answer_that_it_has_alone(finished: Run, rows: Path) -> None:
    from tunesmith.runtimes import load

    table = recipes.predict(finished.bundle, rows)
    runtime = load(finished.bundle)
    for row in range(ROWS_A_PART - 5, ROWS_A_PART + 5):
        (alone,) = runtime.predict([table.column("text")[row]])
        assert table.column("label")[row] == alone.as_dict()["label"]
        assert table.column("probability")[row] == pytest.approx(
            alone.as_dict()["probability"], abs=1e-5
        )


def test_a_part_without_any_text(finished: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = [{"text": None}] * ROWS_A_PART + [{"text": "refund"}]
    file.write_text("\n".join(map(json.dumps, lines)))
    table = recipes.predict(finished.bundle, file, tmp_path / "out.parquet")
    labels = table.column("label")
    assert labels[:-1] == [None] * ROWS_A_PART
    assert labels[-1] is not None
    assert pq.read_table(tmp_path / "out.parquet").column("label").to_pylist() == labels


def test_what_has_changed_is_named(finished: Run, train: Train, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    stop(finished.bundle, rows, output)
    other = write(tmp_path / "other.csv", NUM_ROWS - 1)
    with pytest.raises(OutputError, match="the texts are others") as raised:
        recipes.predict(finished.bundle, other, output, resume=True)
    assert "bundle" not in str(raised.value)
    run = train({"training.method": "probe"})
    with pytest.raises(OutputError, match="the bundle is another") as raised:
        recipes.predict(run.bundle, other, output, resume=True)
    assert len(raised.value.faults) == 2
    # A column that the model does not read may change.
    renumbered = tmp_path / "renumbered.csv"
    renumbered.write_text(rows.read_text().replace("\n1,", "\n0001,"))
    table = recipes.predict(finished.bundle, renumbered, output, resume=True)
    assert table.column("id")[1] == "0001"


def test_what_a_stopped_run_left_is_not_lost(finished: Run, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    with pytest.raises(OutputError, match="no run that makes this file was stopped"):
        recipes.predict(finished.bundle, rows, output, resume=True)
    stop(finished.bundle, rows, output)
    with pytest.raises(OutputError, match="go on with --resume, or begin anew with --overwrite"):
        recipes.predict(finished.bundle, rows, output)
    notes = Notes()
    recipes.predict(finished.bundle, rows, output, overwrite=True, listener=notes)
    assert not any("done before" in said for said in notes.said)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    (tmp_path / "x.csv.partial").mkdir()
    (tmp_path / "x.csv.partial" / "journal.json").write_text("{")
    with pytest.raises(OutputError, match="cannot be read"):
        recipes.predict(finished.bundle, rows, tmp_path / "x.csv", resume=True)


def test_two_runs_that_make_one_file(finished: Run, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"

    class Second(Notes):
        """Starts the same work again while it is going on."""

        refused = 0

        def advance(self, rows_: int) -> None:
            with pytest.raises(OutputError, match="another process is making this file"):
                recipes.predict(finished.bundle, rows, output, overwrite=True)
            self.refused += 1

    second = Second()
    recipes.predict(finished.bundle, rows, output, listener=second)
    assert second.refused


# `ru_maxrss` would begin with what this process, the parent, held.
CHILD = """
import sys
from pathlib import Path
from tunesmith import recipes
bundle, rows, output, resume = sys.argv[1:]
recipes.predict(bundle, rows, Path(output), resume=resume == "yes")
lines = Path("/proc/self/status").read_text().splitlines()
print(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_long_file_takes_little_memory_and_survives_kill_9(finished: Run, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", LONG_ROWS)
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    arguments = [str(finished.bundle.path), str(rows)]
    first = run(*arguments, str(whole), "no")
    assert first < LIMIT_BYTES, f"{first / 1e6:,.0f} MB"
    process = start(*arguments, str(killed), "no")
    parts = tmp_path / "killed.csv.partial"
    deadline = time.monotonic() + _PATIENCE_S
    while not (parts / "000040.arrow").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not killed.exists()
    assert run(*arguments, str(killed), "yes") < LIMIT_BYTES
    assert killed.read_bytes() == whole.read_bytes()
    assert not parts.exists()


def start(*arguments: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )


def run(*arguments: str) -> int:
    """Predicts in a process of its own; the most memory that it held, in bytes."""
    process = start(*arguments)
    out, _ = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 0
    return int(out) * 1024
