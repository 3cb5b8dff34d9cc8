"""Accuracy on public data with default settings: three seeds, mean ± spread, beside the baselines.

    python benchmarks/accuracy.py                      # all data sets, about two hours on two cores
    python benchmarks/accuracy.py trec6 sst2 --seeds 0 1 2
    python benchmarks/accuracy.py trec6 --set training.method=full training.r_drop=1

Every run is `tunesmith.train` with nothing set but the files, the target and the seed, and what
--set says (`training.budget_s=20m` for what a budget leads to). Validation
rows come out of the training file where the data has none of its own; the test file is opened once,
for the report. Results are appended to --results as they come, and runs found there are not made
again, so an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from _datasets import DATA, DATASETS

import tunesmith
from tunesmith.recipes import Silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=list(DATASETS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--results", type=Path, default=Path("accuracy.jsonl"))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="settings")
    arguments = parser.parse_args()
    pairs = (one.partition("=") for one in arguments.settings)
    settings = {name: yaml.safe_load(value) for name, _, value in pairs}
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    for name in arguments.datasets:
        for seed in arguments.seeds:
            if (name, seed) not in {(r["dataset"], r["seed"]) for r in read(arguments.results)}:
                result = measure(name, seed, settings)
                with arguments.results.open("a") as file:
                    file.write(json.dumps(result) + "\n")
        summarise(name, read(arguments.results))


def measure(name: str, seed: int, settings: dict[str, Any]) -> dict:
    """One run: name of each candidate → its accuracy and macro-F1 on the test rows."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        files = DATASETS[name](Path(folder))
        run = tunesmith.train(
            files.train,
            target=files.target,
            text=files.text,
            validation=files.validation,
            test=files.test,
            seed=seed,
            output=Path(folder) / "run",
            settings=settings,
            listener=Silent(),
        )
        candidates = {
            one.name: {
                "accuracy": one.metrics["accuracy"].value,
                "macro_f1": one.metrics["macro_f1"].value,
                "log_loss": one.metrics["log_loss"].value,
                "seconds": one.seconds,
            }
            for one in run.report.candidates
        }
        return {
            "dataset": name,
            "seed": seed,
            "settings": settings,
            "seconds": time.perf_counter() - start,
            "chosen": run.report.chosen,
            "candidates": candidates,
            "history": [dict(record) for record in run.report.history],
        }


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def summarise(name: str, results: list[dict]) -> None:
    """A line a candidate: mean ± spread (sample standard deviation) over the seeds."""
    own = [result for result in results if result["dataset"] == name]
    print(f"\n{name}, seeds {sorted(result['seed'] for result in own)}")
    shipped = {"shipped model": [r["candidates"][r["chosen"]] for r in own]}
    names = dict.fromkeys(one for result in own for one in result["candidates"])
    table = {one: [r["candidates"][one] for r in own if one in r["candidates"]] for one in names}
    for candidate, runs in {**table, **shipped}.items():
        cells = []
        for metric in ("accuracy", "macro_f1"):
            values = [100 * run[metric] for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{metric} {statistics.mean(values):.2f} ± {spread:.2f}")
        seconds = statistics.median(run["seconds"] for run in runs)
        print(f"  {candidate:30} {'  '.join(cells)}  {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
