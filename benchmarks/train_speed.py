"""Rows a second, and seconds to 93 %, on Banking77: Tunesmith against a plain Hugging Face Trainer.

    python benchmarks/train_speed.py [--peer-limit-s 1500]

Both start from the same embedded base, train on all 10,003 rows in batches of 32, and are judged
on the 3,080 test rows after each epoch; nothing is chosen by that, it only tells when 93 % was
reached, and the time that judging takes counts for neither. The Trainer has what most people run: a
new head on [CLS], dynamic padding, fp32, AdamW, rate 1e-4 with linear decay. Ours runs before and
after it, so that a machine that drifts is seen. Each side is a process of its own, alone on the
machine, with as many threads as there are cores. Give --peer-python to run the Trainer in another
virtual environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _datasets import banking77

WANTED = 0.93
PEER_EPOCHS = 8


def ours() -> dict:
    """One default run, its validation rows being the test rows."""
    import tunesmith
    from tunesmith.recipes import Silent

    with tempfile.TemporaryDirectory() as folder:
        files = banking77(Path(folder))
        run = tunesmith.train(
            files.train,
            target=files.target,
            text=files.text,
            validation=files.test,
            test=files.test,
            method="full",
            output=Path(folder) / "run",
            seed=0,
            settings={"evaluation.resamples": 100},
            listener=Silent(),
        )
        candidates = {one.name: one for one in run.report.candidates}
        log = [json.loads(line) for line in (run.folder / "metrics.jsonl").open()]
    probe = candidates["frozen encoder + linear head"].seconds
    epochs = [line for line in log if line["event"] == "epoch"]
    rows = run.report.split_sizes["train"]
    # An epoch's time without judging: what judging the untrained model took is known from epoch 0.
    judging = epochs[0]["seconds"]
    training = epochs[-1]["seconds"] - judging * len(epochs)
    points = [
        (probe + one["seconds"] - judging * (place + 1), one["metric"])
        for place, one in enumerate(epochs)
    ]
    return {
        "rows_per_second": rows * (len(epochs) - 1) / training,
        "points": points,
        "probe_seconds": probe,
        "precision": run.report.base["precision"],
    }


def peer(limit_s: float) -> dict:
    """The Trainer, ended at 93 % or at the limit."""
    import csv
    import time

    import numpy as np
    import torch
    import transformers
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from tunesmith.bases import available_cores, find_base

    torch.set_num_threads(available_cores())
    transformers.set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        files = banking77(Path(folder))
        parts = []
        for file in (files.train, files.test):
            with file.open(newline="", encoding="utf-8") as opened:
                parts.append(list(csv.DictReader(opened)))
        labels = sorted({row[files.target] for row in parts[0]})
        base = str(find_base("minilm").path)
        tokenizer = AutoTokenizer.from_pretrained(base)
        sets = [
            [
                {**tokenizer(row["text"], truncation=True), "labels": labels.index(row["category"])}
                for row in part
            ]
            for part in parts
        ]
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels))
        points: list[tuple[float, float]] = []
        clock = {"training": 0.0, "since": 0.0, "steps": 0}

        class Clock(TrainerCallback):
            def on_epoch_begin(self, *_: object, **__: object) -> None:
                clock["since"] = time.monotonic()

            def on_step_end(self, _: object, state: object, control: object, **__: object):
                clock["steps"] = state.global_step
                if clock["training"] + time.monotonic() - clock["since"] > limit_s:
                    control.should_training_stop = True
                    control.should_epoch_stop = True
                return control

            def on_epoch_end(self, _: object, __: object, control: object, **___: object):
                clock["training"] += time.monotonic() - clock["since"]
                result = trainer.predict(sets[1])
                accuracy = float((np.argmax(result.predictions, 1) == result.label_ids).mean())
                points.append((clock["training"], accuracy))
                print(f"Trainer: {clock['training']:.0f} s, {accuracy:.2%}", file=sys.stderr)
                if accuracy >= WANTED:
                    control.should_training_stop = True
                return control

        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder, per_device_train_batch_size=32, learning_rate=1e-4,
                num_train_epochs=PEER_EPOCHS, report_to=[], save_strategy="no", use_cpu=True,
                logging_strategy="no", disable_tqdm=True, per_device_eval_batch_size=64,
            ),
            train_dataset=sets[0],
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[Clock()],
        )  # fmt: skip
        trainer.train()
    rows = min(clock["steps"] * 32, len(sets[0]) * PEER_EPOCHS)
    return {"rows_per_second": rows / clock["training"], "points": points}


def reached(points: list[tuple[float, float]]) -> float | None:
    return next((seconds for seconds, accuracy in points if accuracy >= WANTED), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=["ours", "peer"], help="run one side, print its JSON")
    parser.add_argument("--peer-limit-s", type=float, default=1500)
    parser.add_argument("--peer-python", default=sys.executable)
    arguments = parser.parse_args()
    if arguments.side:
        result = ours() if arguments.side == "ours" else peer(arguments.peer_limit_s)
        print(json.dumps(result))
        return
    limit = ["--peer-limit-s", str(arguments.peer_limit_s)]
    sides = [(sys.executable, "ours"), (arguments.peer_python, "peer"), (sys.executable, "ours")]
    results = []
    for python, side in sides:
        command = [python, __file__, "--side", side, *limit]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(side, results[-1], flush=True)
    first, other, second = results
    rate = (first["rows_per_second"] + second["rows_per_second"]) / 2
    print(f"\nrows a second: ours {rate:.0f}, Trainer {other['rows_per_second']:.0f}: "
          f"{rate / other['rows_per_second']:.1f} ×")  # fmt: skip
    for name, start in (("fine-tuned", 1), ("frozen probe", 0)):
        stop = None if start else 1
        times = [reached(one["points"][start:stop]) for one in (first, second)]
        print(against_peer(name, times, other["points"]))


def against_peer(name: str, times: list[float | None], points: list[tuple[float, float]]) -> str:
    """One line: our seconds to 93 %, the Trainer's, and the ratio."""
    if None in times:
        return f"seconds to 93 %, {name}: not reached"
    mean = sum(times) / len(times)
    theirs = reached(points)
    if theirs is not None:
        return f"seconds to 93 %, {name}: {mean:.0f}, Trainer {theirs:.0f}: {theirs / mean:.1f} ×"
    last, accuracy = points[-1]
    return (
        f"seconds to 93 %, {name}: {mean:.0f}, Trainer not in {last:.0f} ({accuracy:.1%} by then): "
        f"more than {last / mean:.1f} ×"
    )


if __name__ == "__main__":
    main()
