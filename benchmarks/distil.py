"""Students of fewer layers: what they lose in accuracy, and how much faster they are.

    python benchmarks/distil.py                                  # about an hour on two idle cores
    python benchmarks/distil.py trec6 --layers 3 2 --rows 400    # to try it

The teacher is fine-tuned on the official training rows, or on `--rows` of them, and judged on the
official test rows. `tunesmith optimize --distil` makes the students; tolerances are wide open, so
that all are judged and measured. Speed is that of each model's onnx-fp32 and onnx-int8, measured in
turn in the same process, medians over rounds. Bundles that are in `--keep` are not made again.
Results are appended to --results.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from _datasets import DATA, DATASETS, Files, rows_of

import tunesmith
from tunesmith.bases import available_cores
from tunesmith.bundles import Bundle, open_bundle
from tunesmith.optimization import Tolerances, measure_speed
from tunesmith.recipes import Distillation, Silent, optimize
from tunesmith.recipes._parity import texts_to_measure
from tunesmith.runtimes import load

OPEN = Tolerances(0.0, 1.0, 1.0, 100.0, 1.0)
RUNTIMES = ("onnx-fp32", "onnx-int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=["banking77", "trec6", "sst2"])
    parser.add_argument("--layers", nargs="*", type=int, default=[4, 3, 2, 1])
    parser.add_argument("--rows", type=int, help="so many training and test rows alone")
    parser.add_argument("--method", default="full")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--budget", type=float, help="seconds for the students of a data set")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--keep", type=Path, help="a folder for the bundles; else none is kept")
    parser.add_argument("--results", type=Path, default=Path("distil.jsonl"))
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    for name in arguments.datasets:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.keep or Path(temporary)) / name
            found = measure(name, folder, arguments)
        with arguments.results.open("a") as file:
            file.write(json.dumps({"dataset": name, "rows": arguments.rows, **found}) + "\n")
        show(name, found)


def measure(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of the teacher and of all its students."""
    folder.mkdir(parents=True, exist_ok=True)
    files = DATASETS[name](folder)
    teacher = trained(files, folder, arguments)
    made = {"teacher": optimized(teacher, folder / "fast-teacher", None, arguments)}
    for layers in arguments.layers:
        made[f"{layers} layers"] = optimized(teacher, folder / f"fast-{layers}", layers, arguments)
    rows = teacher.held_out()
    assert rows is not None
    inputs = list(rows.inputs)
    opened = {
        f"{model} {runtime}": load(bundle, runtime, allow_unverified=True)
        for model, bundle in made.items()
        for runtime in RUNTIMES
    }
    texts = texts_to_measure(next(iter(opened.values())), inputs)
    speeds = measure_speed(
        {key: own.outputs for key, own in opened.items()}, *texts, rounds=arguments.rounds
    )
    return {
        "cores": available_cores(),
        "metric": teacher.task.default_metrics[0],
        "models": {model: figures(bundle) for model, bundle in made.items()},
        "speed": {key: own.as_dict() for key, own in speeds.items()},
    }


def trained(files: Files, folder: Path, arguments: argparse.Namespace) -> Bundle:
    """The teacher; one that is there already is taken."""
    run = folder / "teacher"
    if (run / "bundle" / "manifest.json").is_file():
        return open_bundle(run)
    train, test = files.train, files.test
    if arguments.rows:
        train, test = (
            drawn(file, files, folder / f"{part}-drawn.jsonl", arguments)
            for part, file in (("train", train), ("test", test))
        )
    settings: dict[str, Any] = {"data.checks": False, "evaluation.robustness": False}
    if arguments.epochs:
        settings["training.epochs"] = arguments.epochs
    if files.validation is not None and not arguments.rows:
        settings["data.validation"] = str(files.validation)
    names = ("text", "label") if arguments.rows else (files.text, files.target)
    return tunesmith.train(
        train, test=test, text=names[0], target=names[1], method=arguments.method,
        seed=arguments.seed, output=run, settings=settings, listener=Silent(),
    ).bundle  # fmt: skip


def drawn(file: Path, files: Files, written: Path, arguments: argparse.Namespace) -> Path:
    rows = rows_of(file, files)
    chosen = random.Random(arguments.seed).sample(rows, min(arguments.rows, len(rows)))
    lines = [json.dumps({"text": text, "label": label}) for text, label in chosen]
    written.write_text("\n".join(lines) + "\n")
    return written


def optimized(
    teacher: Bundle, output: Path, layers: int | None, arguments: argparse.Namespace
) -> Bundle:
    """The teacher, or a student, with the runtimes that are measured, whatever the gate says.

    A student that is not faster here than its teacher is not written: that is a failure.
    """
    if (output / "manifest.json").is_file():
        return open_bundle(output)
    wanted = None
    if layers is not None:
        wanted = Distillation((layers,), budget_s=arguments.budget, min_agreement=0.0)
    found = optimize(
        teacher, output=output, tolerances=OPEN, keep=RUNTIMES, distil=wanted, rounds=3,
        resume=output.with_name(f"{output.name}.partial").is_dir(),
    )  # fmt: skip
    if layers is not None and found.model == "teacher":
        raise SystemExit(f"the student of {layers} layers was not faster than its teacher")
    return found.bundle


def figures(bundle: Bundle) -> dict[str, Any]:
    """The metric of the float32 model on the test rows, and how it compares with its teacher."""
    distilled = bundle.manifest.distillation
    metric = bundle.task.default_metrics[0]
    sizes = {
        name: facts.size_bytes
        for name, facts in (
            bundle.manifest.runtimes.kept if bundle.manifest.runtimes else {}
        ).items()
    }
    return {
        "value": bundle.manifest.metrics[metric],
        "num_rows": bundle.manifest.metrics["num_examples"],
        "parity": None if distilled is None else distilled["parity"],
        "epochs": None if distilled is None else distilled["epochs"],
        "size_bytes": sizes,
    }


def show(name: str, found: dict[str, Any]) -> None:
    print(f"\n{name}, {found['cores']} cores\n")
    heads = [f"{own}: texts/s (×)" for own in RUNTIMES]
    print(f"| model | {found['metric']} | points | same label | {' | '.join(heads)} | int8 MB |")
    print("|" + "---|" * (5 + len(RUNTIMES)))
    for model, own in found["models"].items():
        value, parity = own["value"], own["parity"]
        points = same = ""
        if parity is not None:
            low, mid, high = (100 * parity["change"][key] for key in ("low", "value", "high"))
            points, same = f"{mid:+.1f} ({low:+.1f} to {high:+.1f})", f"{parity['agreement']:.1%}"
        cells = [
            model,
            f"{100 * value['value']:.1f} ({100 * value['low']:.1f}–{100 * value['high']:.1f})",
        ]
        cells += [points, same]
        for runtime in RUNTIMES:
            rate, base = (
                found["speed"][f"{one} {runtime}"]["texts_per_s"] for one in (model, "teacher")
            )
            cells.append(f"{rate:,.0f} ({rate / base:.2f})")
        size = own["size_bytes"].get("onnx-int8")
        cells.append("" if size is None else f"{size / 1e6:.1f}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
