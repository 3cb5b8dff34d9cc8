"""What the robust settings gain where a fifth of the labels are wrong: AG News, labelled by people.

    python benchmarks/noisy.py                              # an hour or two on two cores
    python benchmarks/noisy.py --settings default robust --seeds 0 --limit 400     # a look

10,000 training rows, 1,975 of them with a wrong label (arXiv:2407.06579, MIT); the validation rows
are held out of these and as noisy. With --noise random a fifth of the true labels is changed at
random instead, as by slips of the hand. Accuracy is on the clean test rows. The last line of the
table was trained on the true labels: what the noise costs at all. Results are appended to --results
as they come, and runs found there are not made again, so an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import tempfile
from pathlib import Path

from _datasets import DATA

import tunesmith
from tunesmith.recipes import Silent

SOURCE = DATA / "agnews_noisy"
SHARE = 0.2
SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "no smoothing": {"training.label_smoothing": 0.0},
    "smoothing 0.3": {"training.label_smoothing": 0.3},
    "robust": {"training.loss": "robust"},
    "robust, q 0.4": {"training.loss": "robust", "training.robustness": 0.4},
    "neighbours": {"training.soft_labels": "neighbours"},
    "focal": {"training.loss": "focal"},
    "true labels": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="*", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=None, help="so many rows of each file")
    parser.add_argument("--noise", choices=["people", "random"], default="people")
    parser.add_argument("--results", type=Path, default=Path("noisy.jsonl"))
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if not SOURCE.is_dir():
        parser.error(f"{SOURCE} is not there; set TUNESMITH_BENCH_DATA")
    for name in arguments.settings:
        for seed in arguments.seeds:
            key = {"settings": name, "seed": seed, "limit": arguments.limit}
            key |= {"noise": arguments.noise}
            if any(key.items() <= result.items() for result in read(arguments.results)):
                continue
            result = {**key, **measure(key, arguments.threads)}
            with arguments.results.open("a") as file:
                file.write(json.dumps(result) + "\n")
    wanted = {"limit": arguments.limit, "noise": arguments.noise}
    summarise([r for r in read(arguments.results) if wanted.items() <= r.items()])


def measure(key: dict, threads: int | None) -> dict:
    """One run: accuracy of the fine-tuned model and of the frozen probe, on clean test rows."""
    name, seed, limit = key["settings"], key["seed"], key["limit"]
    with tempfile.TemporaryDirectory() as folder:
        true = name == "true labels" or key["noise"] == "random"
        share = SHARE if key["noise"] == "random" and name != "true labels" else 0.0
        source = SOURCE / "train_noisy_10k.csv"
        train = write(Path(folder) / "train.csv", source, "gt" if true else "label", limit, share)
        test = write(Path(folder) / "test.csv", SOURCE / "test_7600.csv", "gt", limit)
        run = tunesmith.train(
            train,
            target="label",
            text="text",
            test=test,
            method="full",
            seed=seed,
            output=Path(folder) / "run",
            settings={
                "data.checks": False,
                "evaluation.resamples": 100,
                "evaluation.robustness": False,
                "evaluation.explanation_seconds": 0,
                **({"training.threads": threads} if threads else {}),
                **SETTINGS[name],
            },
            listener=Silent(),
        )
        candidates = {one.name: one for one in run.report.candidates}
    chosen = candidates[run.report.chosen]
    return {
        "accuracy": chosen.metrics["accuracy"].value,
        "log_loss": chosen.metrics["log_loss"].value,
        "seconds": chosen.seconds,
        "others": {one.name: one.metrics["accuracy"].value for one in candidates.values()},
        "history": [dict(record) for record in run.report.history],
    }


def write(file: Path, source: Path, label: str, limit: int | None, changed: float = 0.0) -> Path:
    """The source's texts with the labels of one of its columns; the limit's rows are drawn.

    Args:
        changed: the share of rows that are given another label, at random.
    """
    with source.open(newline="", encoding="utf-8") as opened:
        rows = [(row["text"], row[label]) for row in csv.DictReader(opened)]
    if limit is not None:
        rows = random.Random(0).sample(rows, limit)
    generator, labels = random.Random(1), sorted({label for _, label in rows})
    for place in generator.sample(range(len(rows)), round(changed * len(rows))):
        text, given = rows[place]
        rows[place] = (text, generator.choice([other for other in labels if other != given]))
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("text", "label"), *rows])
    return file


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def summarise(results: list[dict]) -> None:
    """A line a setting: mean ± spread (sample standard deviation) over the seeds."""
    for name in SETTINGS:
        own = [result for result in results if result["settings"] == name]
        if not own:
            continue
        values = [100 * run["accuracy"] for run in own]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        loss = statistics.mean(run["log_loss"] for run in own)
        accuracy = f"{statistics.mean(values):.2f} ± {spread:.2f}"
        print(f"{name:16} accuracy {accuracy:14} log loss {loss:.3f}, {len(own)} seeds")


if __name__ == "__main__":
    main()
