"""Accuracy from 8 and from 64 rows a label: ours beside SetFit with the same base and rows.

    python benchmarks/few_shot.py --peer-python PEER/bin/python       # hours on two cores
    python benchmarks/few_shot.py trec6 --rows 8 --seeds 0 --sides probe few-shot

PEER is a virtual environment with setfit==1.2.0 in it; without --peer-python only our sides run.
Each seed draws its own rows out of the training file, and at most 1,000 of the test rows; every
side is given the same. No side has validation rows beside these: ours are judged on the rows that
they are trained on, which leaves the choice of the epoch to the loss on them. But `auto` holds
some of them out to choose a method by, and learns from all at last, as for a user. SetFit has its
defaults, and 20 pairs of each kind a row as in its paper (arXiv:2209.11055), in at most
--peer-steps steps. A side is a process of its own. Results are appended to --results as they come,
and runs found there are not made again, so an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _datasets import DATA, DATASETS, rows_of

TEST_ROWS = 1000
OURS = ("probe", "full", "few-shot", "auto")
PEER = "setfit"
PAIRS_A_ROW = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=["banking77", "trec6", "sst2"])
    parser.add_argument("--rows", nargs="*", type=int, default=[8, 64], help="rows a label")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--sides", nargs="*", choices=[*OURS, PEER])
    parser.add_argument("--results", type=Path, default=Path("few_shot.jsonl"))
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--peer-python", help="a Python that has setfit")
    parser.add_argument("--peer-steps", type=int, default=2500)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        side = setfit if arguments.sides == [PEER] else ours
        print(json.dumps(side(json.loads(arguments.run.read_text()))))
        return
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    sides = arguments.sides or [*OURS, *([PEER] if arguments.peer_python else [])]
    if PEER in sides and not arguments.peer_python:
        parser.error("setfit needs --peer-python")
    for name in arguments.datasets:
        for rows in arguments.rows:
            for seed in arguments.seeds:
                for side in sides:
                    key = {"dataset": name, "rows": rows, "seed": seed, "side": side}
                    measure(key, arguments)
            summarise(name, rows, read(arguments.results))


def measure(key: dict, arguments: argparse.Namespace) -> None:
    """Makes one run in a process of its own, unless the results have it."""
    if any(key.items() <= result.items() for result in read(arguments.results)):
        return
    is_peer = key["side"] == PEER
    with tempfile.TemporaryDirectory() as folder:
        job = {
            **draw(key["dataset"], key["rows"], key["seed"], Path(folder)),
            **key,
            "threads": arguments.threads,
            "steps": arguments.peer_steps,
            "folder": folder,
        }
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job))
        python = arguments.peer_python if is_peer else sys.executable
        command = [python, __file__, "--sides", key["side"], "--run", str(file)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result = {**key, **json.loads(done.stdout.splitlines()[-1])}
    print(result, flush=True)
    with arguments.results.open("a") as results:
        results.write(json.dumps(result) + "\n")


def draw(name: str, rows_a_label: int, seed: int, folder: Path) -> dict:
    """Writes train.jsonl and test.jsonl with this seed's rows; returns where they and the base are.

    A label with fewer rows gives all that it has. No two training rows have the same text.
    """
    from tunesmith.bases import find_base

    files = DATASETS[name](folder)
    generator = random.Random(seed)
    by_label: dict[str, list[dict]] = {}
    for text, label in dict(rows_of(files.train, files)).items():
        by_label.setdefault(label, []).append({"text": text, "label": label})
    train = [
        row
        for label in sorted(by_label)
        for row in generator.sample(by_label[label], min(rows_a_label, len(by_label[label])))
    ]
    test = [{"text": text, "label": label} for text, label in rows_of(files.test, files)]
    test = generator.sample(test, min(TEST_ROWS, len(test)))
    written = {"train": folder / "few.jsonl", "test": folder / "judged.jsonl"}
    for part, rows in (("train", train), ("test", test)):
        written[part].write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = find_base("minilm").path
    return {**{part: str(file) for part, file in written.items()}, "base": str(base)}


def ours(job: dict) -> dict:
    import tunesmith
    from tunesmith.recipes import Silent

    settings = {"evaluation.resamples": 100}
    if job["threads"]:
        settings["training.threads"] = job["threads"]
    run = tunesmith.train(
        job["train"],
        target="label",
        text="text",
        validation=None if job["side"] == "auto" else job["train"],
        test=job["test"],
        method=job["side"],
        seed=job["seed"],
        output=Path(job["folder"]) / "run",
        settings=settings,
        listener=Silent(),
    )
    chosen = next(one for one in run.report.candidates if one.name == run.report.chosen)
    return {
        "accuracy": chosen.metrics["accuracy"].value,
        "seconds": chosen.seconds,
        "method": run.report.method,
    }


def setfit(job: dict) -> dict:
    """SetFit on the job's rows; runs in the peer's environment, which has no Tunesmith."""
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    if job["threads"]:
        torch.set_num_threads(job["threads"])
    parts = {
        part: [json.loads(line) for line in Path(job[part]).read_text().splitlines()]
        for part in ("train", "test")
    }
    labels = sorted({row["label"] for row in parts["train"]})
    started = time.monotonic()
    model = SetFitModel.from_pretrained(job["base"], labels=labels, device="cpu")
    batch_size = 16
    steps = -(-2 * PAIRS_A_ROW * len(parts["train"]) // batch_size)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=job["folder"],
            num_iterations=PAIRS_A_ROW,
            num_epochs=1,
            batch_size=batch_size,
            max_steps=job["steps"] if steps > job["steps"] else -1,
            seed=job["seed"],
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            show_progress_bar=False,
        ),
        train_dataset=Dataset.from_list(parts["train"]),
    )
    trainer.train()
    seconds = time.monotonic() - started
    predicted = model.predict([row["text"] for row in parts["test"]], show_progress_bar=False)
    right = [str(a) == row["label"] for a, row in zip(predicted, parts["test"], strict=True)]
    return {
        "accuracy": statistics.mean(right),
        "seconds": seconds,
        "steps": min(steps, job["steps"]),
    }


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def summarise(name: str, rows: int, results: list[dict]) -> None:
    """A line a side: mean ± spread (sample standard deviation) over the seeds."""
    print(f"\n{name}, {rows} rows a label")
    for side in (*OURS, PEER):
        own = [r for r in results if (r["dataset"], r["rows"], r["side"]) == (name, rows, side)]
        if not own:
            continue
        values = [100 * run["accuracy"] for run in own]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        seconds = statistics.median(run["seconds"] for run in own)
        accuracy = f"{statistics.mean(values):.1f} ± {spread:.1f}"
        print(f"  {side:10} {accuracy:12} {seconds:6.0f} s, {len(own)} seeds", flush=True)


if __name__ == "__main__":
    main()
