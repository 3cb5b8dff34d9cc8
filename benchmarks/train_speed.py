"""Rows a second, and seconds to a fixed figure: Tunesmith against Hugging Face's Trainer.

    python benchmarks/train_speed.py banking77 [--limit-s 900] [--sides ours trainer trainer-best]
    python benchmarks/train_speed.py goemotions

All start from the same embedded base, train on all training rows in batches of 32, and are judged
on the same rows after each epoch: the test rows of Banking77 (accuracy; 93 % is wanted), the
validation rows of GoEmotions (macro-F1 at thresholds chosen on them; 45 % is wanted). Nothing is
chosen by that, it only tells when the figure was reached, and the time that judging takes counts
for nobody. Ours runs before and after the others, so that a machine that drifts is seen. Each side
is a process of its own, alone on the machine, with as many threads as there are cores.

Useful FLOP/s are 6 × trained weights (matrices of the layers) × tokens without padding, a second;
beside them stands the rate of a matrix product in the same precision, measured just before.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _datasets import DATASETS

SIDES = ("ours", "trainer", "trainer-best")
WANTED = {"banking77": 0.93, "goemotions": 0.45}


def ours(name: str, limit_s: float) -> dict[str, Any]:
    """One default run of full fine-tuning, its validation rows being the rows judged on."""
    import torch

    import tunesmith
    from tunesmith import bases
    from tunesmith.recipes import Silent

    device = torch.device("cpu")
    rates = {kind: bases.matrix_rate(kind, device, seconds=1.0) for kind in ("fp32", "bf16")}
    with tempfile.TemporaryDirectory() as folder:
        files = DATASETS[name](Path(folder))
        judged_on = files.validation or files.test
        run = tunesmith.train(
            files.train,
            target=files.target,
            text=files.text,
            validation=judged_on,
            test=judged_on,
            method="full",
            output=Path(folder) / "run",
            seed=0,
            settings={"evaluation.resamples": 100},
            listener=Silent(),
        )
        log = [json.loads(line) for line in (run.folder / "metrics.jsonl").open()]
        tokenizer = bases.load_tokenizer(run.bundle.model_path)
        length = run.report.base["max_length"]
        texts = [(text,) for text, _ in read(files.train, files.target)]
        tokens = int(bases.tokenize(tokenizer, texts, length).lengths.sum())
        model = bases.load_classifier(run.bundle.model_path, "mean", len(run.bundle.task.labels))
        matrices = sum(p.numel() for p in bases.layers_of(model).parameters() if p.ndim > 1)
    candidates = {one.name: one for one in run.report.candidates}
    probe = candidates["frozen encoder + linear head"].seconds
    epochs = [line for line in log if line["event"] == "epoch"]
    # An epoch's time without judging: what judging the untrained model took is known from epoch 0.
    judging = epochs[0]["seconds"]
    training = epochs[-1]["seconds"] - judging * len(epochs)
    precision = run.report.base["precision"]
    passes = len(epochs) - 1
    points = [
        (probe + one["seconds"] - judging * (place + 1), one["metric"])
        for place, one in enumerate(epochs)
    ]
    return {
        "rows_per_second": run.report.split_sizes["train"] * passes / training,
        "points": points,
        "probe_seconds": probe,
        "precision": precision,
        "useful_gflops": 6 * matrices * tokens * passes / training / 1e9,
        "matrix_gflops": rates[precision] / 1e9,
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def peer(name: str, limit_s: float, *, best: bool) -> dict[str, Any]:
    """The Trainer, ended at the wanted figure or at the limit."""
    import torch
    from _trainer import train

    from tunesmith.bases import available_cores, choose_precision, find_base
    from tunesmith.recipes._fine_tune import judge_of
    from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
    from tunesmith.types import Dataset

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
    return train(
        str(find_base("minilm").path),
        sets,
        list(labels),
        multi_label=several,
        best=best,
        bf16=precision == "bf16",
        wanted=WANTED[name],
        judge=judge_of(task, judged_on),
        limit_s=limit_s,
        threads=available_cores(),
    )


def read(file: Path, target: str) -> list[tuple[str, Any]]:
    """Text and target of each row."""
    import csv

    with file.open(newline="", encoding="utf-8") as opened:
        rows: Any = csv.DictReader(opened) if file.suffix == ".csv" else map(json.loads, opened)
        return [(row["text"], row[target]) for row in rows]


def run_side(side: str, name: str, limit_s: float) -> dict[str, Any]:
    command = [sys.executable, __file__, name, "--side", side, "--limit-s", str(limit_s)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = {"side": side, **json.loads(done.stdout.splitlines()[-1])}
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=list(WANTED))
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=list(SIDES))
    parser.add_argument("--limit-s", type=float, default=1500, help="for each side of the Trainer")
    parser.add_argument("--side", choices=SIDES, help="run one side, print its JSON")
    arguments = parser.parse_args()
    name, limit = arguments.dataset, arguments.limit_s
    if arguments.side:
        if arguments.side == "ours":
            print(json.dumps(ours(name, limit)))
        else:
            print(json.dumps(peer(name, limit, best=arguments.side == "trainer-best")))
        return
    others = [side for side in arguments.sides if side != "ours"]
    order = ["ours", *others, "ours"] if "ours" in arguments.sides else others
    results = [run_side(side, name, limit) for side in order]
    own = [result for result in results if result["side"] == "ours"]
    for result in results:
        print(line(result, WANTED[name]))
    for result in results:
        if own and result["side"] != "ours":
            print(against(own, result, WANTED[name]))


def line(result: dict[str, Any], wanted: float) -> str:
    """One side's figures."""
    seconds = reached(result["points"], wanted)
    shown = f"{seconds:.0f} s to {wanted:.0%}" if seconds else f"not at {wanted:.0%}"
    rate = ""
    if "useful_gflops" in result:
        share = result["useful_gflops"] / result["matrix_gflops"]
        rate = f", {result['useful_gflops']:.0f} useful GFLOP/s ({share:.0%} of the matrix rate)"
    return (
        f"{result['side']:13} {result['rows_per_second']:6.1f} rows/s, {shown}, "
        f"{result['memory_gb']:.1f} GB, {result['precision']}{rate}"
    )


def reached(points: list[tuple[float, float]], wanted: float) -> float | None:
    """When the fine-tuned model was at the wanted figure; the first point may be the probe."""
    return next((seconds for seconds, metric in points if metric >= wanted), None)


def against(own: list[dict[str, Any]], other: dict[str, Any], wanted: float) -> str:
    """The ratios of ours, the mean of its runs, to another side."""
    rate = sum(one["rows_per_second"] for one in own) / len(own) / other["rows_per_second"]
    times = [reached(one["points"], wanted) for one in own]
    theirs = reached(other["points"], wanted)
    last, best = other["points"][-1] if other["points"] else (0.0, 0.0)
    if None in times:
        sooner = "ours did not reach the figure"
    else:
        mean = sum(times) / len(times)  # type: ignore[arg-type]
        sooner = (
            f"{theirs / mean:.1f} × sooner at {wanted:.0%}"
            if theirs
            else f"more than {last / mean:.1f} × sooner at {wanted:.0%} (it had {best:.1%} then)"
        )
    return f"ours / {other['side']}: {rate:.2f} × the rows a second, {sooner}"


if __name__ == "__main__":
    main()
