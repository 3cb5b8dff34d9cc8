"""Rows a second, and seconds to a fixed figure: Tunesmith against Trainer, SetFit and others.

    python benchmarks/train_speed.py banking77 [--limit-s 1200] [--sides trainer trainer-best]
    python benchmarks/train_speed.py banking77 --peer-python PEER/bin/python
    python benchmarks/train_speed.py goemotions

PEER is a virtual environment with setfit==1.2.0 in it, for SetFit and for sentence-transformers
alone (`_setfit.py`), which have one label a text: so not with GoEmotions.

All start from the same embedded base, train on all training rows in batches of 32, and are judged
on the same rows after each epoch: the test rows of Banking77 (accuracy; 93 % is wanted), the
validation rows of GoEmotions (macro-F1 at thresholds chosen on them; 45 % is wanted). Nothing is
chosen by that, it only tells when the figure was reached, and the time that judging takes counts
for nobody. Each side is a process of its own with as many threads as there are cores; they train in
turns of some seconds, so that a machine that is now fast, now slow is so for all.

Useful FLOP/s are 6 × trained weights (matrices of the layers) × tokens without padding, a second;
beside them stands the rate of a matrix product in the same precision, measured before each turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from _datasets import DATA, DATASETS
from _turns import Pace, Side

PEERS = ("trainer", "trainer-best")
OTHERS = ("setfit", "sentence-transformers")
PROBE = "frozen encoder + linear head"
WANTED = {"banking77": 0.93, "goemotions": 0.45}
BATCH = 32
MAX_LENGTH = 256


class Enough(Exception):  # noqa: N818 - it is no error
    """The limit is over."""


def ours(name: str, turn_s: float, limit_s: float) -> None:
    """One default run of full fine-tuning, its validation rows being the rows judged on."""
    import torch
    from transformers import AutoModel

    import tunesmith
    from tunesmith import bases
    from tunesmith.recipes import Silent

    precision, _ = bases.choose_precision("auto", torch.device("cpu"))
    rates: list[float] = []

    def measure() -> None:
        rates.append(bases.matrix_rate(precision, torch.device("cpu"), seconds=0.5))

    pace = Pace(turn_s, before_turn=measure)

    class Paced(Silent):
        probe_began = probe_seconds = 0.0

        def stage(self, title: str, _: int | None = None) -> None:
            if title == PROBE:
                self.probe_began = time.monotonic()

        def on_start(self, *_: object) -> None:
            self.probe_seconds = time.monotonic() - self.probe_began

        def on_step(self, *_: object) -> None:
            pace.step()

        def on_epoch(self, record: Any) -> None:
            pace.say({"event": "judged", "seconds": pace.seconds, "metric": record.metric})
            if record.epoch == 0:
                pace.say({"event": "ready"})
                pace.wait()
            if pace.seconds > limit_s:
                raise Enough
            pace.go_on()

    paced = Paced()
    base = bases.find_base("minilm")
    with tempfile.TemporaryDirectory() as folder:
        files = DATASETS[name](Path(folder))
        judged_on = files.validation or files.test
        with contextlib.suppress(Enough):
            tunesmith.train(
                files.train,
                target=files.target,
                text=files.text,
                validation=judged_on,
                test=judged_on,
                method="full",
                output=Path(folder) / "run",
                seed=0,
                settings={"evaluation.resamples": 100},
                listener=paced,
            )
        texts = [(text,) for text, _ in read(files.train, files.target)]
    tokens = bases.tokenize(bases.load_tokenizer(base.path), texts, MAX_LENGTH).lengths.mean()
    layers = AutoModel.from_pretrained(base.path).encoder
    matrices = sum(p.numel() for p in layers.parameters() if p.ndim > 1)
    pace.say({
        "event": "facts",
        "probe_seconds": paced.probe_seconds,
        "precision": precision,
        "gflop_a_row": 6 * matrices * float(tokens) / 1e9,
        "matrix_gflops": statistics.median(rates) / 1e9,
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    })  # fmt: skip


def peer(name: str, turn_s: float, limit_s: float, *, best: bool) -> None:
    """The Trainer, ended at the wanted figure or at the limit."""
    import torch
    from _trainer import train

    from tunesmith.bases import available_cores, choose_precision, find_base
    from tunesmith.recipes._fine_tune import judge_of
    from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
    from tunesmith.types import Dataset

    pace = Pace(turn_s)
    with tempfile.TemporaryDirectory() as folder:
        files = DATASETS[name](Path(folder))
        sets = [read(file, files.target) for file in (files.train, files.validation or files.test)]
    several = files.multi_label
    targets = [tuple(own) if several else own for _, own in sets[1]]
    every = {label for _, own in sets[0] for label in (own if several else [own])}
    labels = tuple(sorted(every))
    kind = MultiLabelClassification if several else TextClassification
    task = kind((Field("text"),), labels)
    judged_on = Dataset(
        ([text for text, _ in sets[1]],), targets, torch.arange(len(targets)).numpy()
    )
    precision, _ = choose_precision("auto", torch.device("cpu"))
    train(
        str(find_base("minilm").path),
        sets,
        list(labels),
        pace,
        multi_label=several,
        best=best,
        bf16=precision == "bf16",
        wanted=WANTED[name],
        judge=judge_of(task, judged_on),
        limit_s=limit_s,
        threads=available_cores(),
    )
    pace.say({
        "event": "facts",
        "precision": precision if best else "fp32",
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    })  # fmt: skip


def other(kind: str, name: str, limit_s: float, turn_s: float, python: str) -> Side:
    """SetFit or sentence-transformers, by a Python that has them and not Tunesmith."""
    from tunesmith.bases import find_base

    given: dict[str, object] = {
        "base": find_base("minilm").path,
        "turn-s": turn_s,
        "limit-s": limit_s,
        "wanted": WANTED[name],
    }
    flags = [word for flag, value in given.items() for word in (f"--{flag}", str(value))]
    return Side(kind, [str(Path(__file__).with_name("_setfit.py")), kind, name, *flags], python)


def read(file: Path, target: str) -> list[tuple[str, Any]]:
    """Text and target of each row."""
    import csv

    with file.open(newline="", encoding="utf-8") as opened:
        rows: Any = csv.DictReader(opened) if file.suffix == ".csv" else map(json.loads, opened)
        return [(row["text"], row[target]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=list(WANTED))
    parser.add_argument("--sides", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peer-python", help="a Python that has setfit")
    parser.add_argument("--limit-s", type=float, default=1500, help="of training, for each side")
    parser.add_argument("--turn-s", type=float, default=20, help="length of a turn")
    parser.add_argument("--side", choices=("ours", *PEERS), help="be one side, told by its input")
    arguments = parser.parse_args()
    name, limit, turn = arguments.dataset, arguments.limit_s, arguments.turn_s
    if arguments.side == "ours":
        ours(name, turn, limit)
        return
    if arguments.side:
        peer(name, turn, limit, best=arguments.side == "trainer-best")
        return
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    if arguments.peer_python and name == "goemotions":
        parser.error("setfit and sentence-transformers have one label a text: not with goemotions")
    if arguments.peer_python and not Path(arguments.peer_python).exists():
        parser.error(f"--peer-python {arguments.peer_python} is not there")
    given = [__file__, name, "--limit-s", str(limit), "--turn-s", str(turn), "--side"]
    sides = [Side(side, [*given, side]) for side in ("ours", *arguments.sides)]
    if arguments.peer_python:
        sides += [other(kind, name, limit, turn, arguments.peer_python) for kind in OTHERS]
    while any(not side.ended for side in sides):
        for side in sides:
            if not side.ended:
                side.turn()
    own, wanted = sides[0], WANTED[name]
    for side in sides:
        print(line(side, wanted))
    for side in sides[1:]:
        print(against(own, side, wanted))


def line(side: Side, wanted: float) -> str:
    """One side's figures."""
    seconds = reached(side, wanted)
    shown = f"{seconds:.0f} s to {wanted:.0%}" if seconds else f"not at {wanted:.0%}"
    facts, rows = side.facts, BATCH * side.rate
    rate = ""
    if "gflop_a_row" in facts:
        useful = facts["gflop_a_row"] * rows
        share = useful / facts["matrix_gflops"]
        rate = f", {useful:.0f} useful GFLOP/s ({share:.0%} of the matrix rate)"
    points = ", ".join(f"{metric:.1%} after {seconds:.0f} s" for seconds, metric in side.points)
    return (
        f"{side.name:13} {rows:6.1f} rows/s, {shown}, {facts['memory_gb']:.1f} GB, "
        f"{facts['precision']}{rate}\n{'':14}{points}"
    )


def reached(side: Side, wanted: float) -> float | None:
    """When the model was at the wanted figure, the probe's time included."""
    probe = side.facts.get("probe_seconds", 0.0)
    return next((probe + seconds for seconds, metric in side.points if metric >= wanted), None)


def against(own: Side, other: Side, wanted: float) -> str:
    """The ratios of ours to another side, turn by turn: each pair saw the same machine."""
    pairs = zip(own.turns, other.turns, strict=False)
    ratios = sorted((a["steps"] / a["seconds"]) / (b["steps"] / b["seconds"]) for a, b in pairs)
    faster = (
        f"{statistics.median(ratios):.2f} × the rows a second (median of {len(ratios)} turns, "
        f"{ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    mine, theirs = reached(own, wanted), reached(other, wanted)
    last, best = other.points[-1] if other.points else (0.0, 0.0)
    if mine is None:
        sooner = "ours did not reach the figure"
    elif theirs is None:
        sooner = f"more than {last / mine:.1f} × sooner at {wanted:.0%} (it had {best:.1%} then)"
    else:
        sooner = f"{theirs / mine:.1f} × sooner at {wanted:.0%}"
    return f"ours / {other.name}: {faster}, {sooner}"


if __name__ == "__main__":
    main()
