"""Few rows: what it gains that the chosen method learns from the validation rows too.

    python benchmarks/refit.py                                   # a probe, minutes on two cores
    python benchmarks/refit.py trec6 --method full --seeds 0 1 2

Each seed draws its own rows out of the training file, and at most 1,000 of the test rows. The two
sides differ in `training.refit` alone: the same validation rows, the same choice. Results are
appended to --results as they come, and runs found there are not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path

from _datasets import DATA, DATASETS, rows_of

import tunesmith
from tunesmith.recipes import Silent

TEST_ROWS = 1000
SIDES = ("never", "always")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=["trec6", "sst2", "phrasebank"])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--method", default="probe")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(10)))
    parser.add_argument("--results", type=Path, default=Path("refit.jsonl"))
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    for name in arguments.datasets:
        for seed in arguments.seeds:
            for side in SIDES:
                key = {"dataset": name, "rows": arguments.rows, "method": arguments.method}
                key |= {"seed": seed, "refit": side}
                if not any(key.items() <= one.items() for one in read(arguments.results)):
                    result = {**key, **measure(key, arguments.threads)}
                    with arguments.results.open("a") as file:
                        file.write(json.dumps(result) + "\n")
        summarise(name, arguments, read(arguments.results))


def measure(key: dict, threads: int | None) -> dict:
    """One run: accuracy and log loss of the shipped model, and how many rows it learned from."""
    with tempfile.TemporaryDirectory() as folder:
        files = DATASETS[key["dataset"]](Path(folder))
        parts = {
            "train": drawn(rows_of(files.train, files), key["rows"], key["seed"]),
            "test": drawn(rows_of(files.test, files), TEST_ROWS, key["seed"]),
        }
        written = {part: Path(folder) / f"{part}-drawn.jsonl" for part in parts}
        for part, rows in parts.items():
            lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
            written[part].write_text("\n".join(lines) + "\n")
        run = tunesmith.train(
            written["train"],
            target="label",
            text="text",
            test=written["test"],
            method=key["method"],
            seed=key["seed"],
            output=Path(folder) / "run",
            settings={
                "training.refit": key["refit"],
                "data.checks": False,
                "evaluation.robustness": False,
                "evaluation.explanation_seconds": 0,
                "data.drop_rare_labels": True,
                "evaluation.resamples": 100,
                **({"training.threads": threads} if threads else {}),
            },
            listener=Silent(),
        )
    report = run.report
    return {
        "accuracy": report.metrics["accuracy"].value,
        "log_loss": report.metrics["log_loss"].value,
        "learned": report.data.get("refit_rows", report.split_sizes["train"]),
        "coverage": coverage(report.as_dict()),
    }


def drawn(rows: list, count: int, seed: int) -> list:
    return random.Random(seed).sample(rows, min(count, len(rows)))


def coverage(report: dict) -> list[tuple[float, float]]:
    """Of sets of labels: what was asked for, and what was found on the test rows."""
    section = report["sections"].get("conformal") or {}
    return [(one["asked"], one["reached"]["value"]) for one in section.get("covered", [])]


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def summarise(name: str, arguments: argparse.Namespace, results: list[dict]) -> None:
    """The gain, seed by seed: mean ± standard error."""
    sides = {
        side: {
            one["seed"]: one
            for one in results
            if (one["dataset"], one["refit"]) == (name, side)
            and (one["rows"], one["method"]) == (arguments.rows, arguments.method)
        }
        for side in SIDES
    }
    seeds = sorted(sides["never"].keys() & sides["always"].keys())
    learned = [statistics.mean(sides[side][seed]["learned"] for seed in seeds) for side in SIDES]
    print(f"\n{name}, {arguments.method}: {learned[0]:.0f} → {learned[1]:.0f} rows")
    for asked in (0.9, 0.95):
        found = [
            [share for level, share in sides[side][seed]["coverage"] if level == asked]
            for side in SIDES
            for seed in seeds
        ]
        shares = [share for one in found for share in one]
        if shares:
            half = len(shares) // 2
            shown = [f"{statistics.mean(part):.1%}" for part in (shares[:half], shares[half:])]
            print(f"  sets at {asked:.0%} hold the label in {' → '.join(shown)}")
    for metric, scale in (("accuracy", 100), ("log_loss", 1)):
        values = [[scale * sides[side][seed][metric] for seed in seeds] for side in SIDES]
        gains = [after - before for before, after in zip(*values, strict=True)]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
        before, after = map(statistics.mean, values)
        gain = f"{statistics.mean(gains):+.3f} ± {error:.3f}"
        print(f"  {metric:9} {before:.3f} → {after:.3f}, {gain} ({len(gains)} seeds)")


if __name__ == "__main__":
    main()
