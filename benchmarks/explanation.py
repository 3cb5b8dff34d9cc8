"""Are explanations faithful? Each method beside words drawn by lot, on public data.

    python benchmarks/explanation.py                          # three sets, minutes on two cores
    python benchmarks/explanation.py trec6 --rows 50 --train-rows 1000 --method probe

A model is trained with `tunesmith.train` on a part of the training rows; test rows are explained
with each method, and measured by comprehensiveness and sufficiency (DeYoung et al., ACL 2020).
Seconds are of explaining alone, without reading the model.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from _datasets import DATA, DATASETS, Files

import tunesmith
from tunesmith.bases import load_classifier, load_tokenizer
from tunesmith.bundles import Bundle
from tunesmith.explanation import METHODS, Explainer
from tunesmith.recipes import Silent
from tunesmith.types import Dataset, Estimate

THREE = ("trec6", "sst2", "phrasebank")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=list(THREE))
    parser.add_argument("--method", default="full", help="how the model is trained")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-rows", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=200, help="test rows that are explained")
    parser.add_argument("--draws", type=int, default=5, help="random orders for each row")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    for name in arguments.datasets:
        with tempfile.TemporaryDirectory() as folder:
            bundle = train(DATASETS[name](Path(folder)), Path(folder), arguments)
            measure(name, bundle, arguments)


def train(files: Files, folder: Path, arguments: argparse.Namespace) -> Bundle:
    """A model of some of the rows, through the product."""
    part = folder / f"part{files.train.suffix}"
    header, *lines = files.train.read_text(encoding="utf-8").splitlines()
    if files.train.suffix == ".jsonl":  # no header
        header, lines = "", [header, *lines]
    chosen = random.Random(0).sample(lines, min(arguments.train_rows, len(lines)))
    part.write_text("\n".join([header, *chosen] if header else chosen) + "\n", encoding="utf-8")
    settings = {"training.threads": arguments.threads} if arguments.threads else {}
    run = tunesmith.train(
        part, target=files.target, text=files.text, test=files.test, method=arguments.method,
        epochs=arguments.epochs, output=folder / "run", settings=settings, listener=Silent(),
    )  # fmt: skip
    print(f"\n{files.train.parent.name}: {run.report.headline()}", flush=True)
    return run.bundle


def measure(name: str, bundle: Bundle, arguments: argparse.Namespace) -> None:
    """A line for each method."""
    held_out = bundle.held_out()
    assert held_out is not None
    rows: Dataset = held_out.take(
        sorted(random.Random(0).sample(range(len(held_out)), min(arguments.rows, len(held_out))))
    )
    facts = bundle.manifest.base
    model = load_classifier(bundle.model_path, facts.pooling, bundle.task.head.size)
    tokenizer = load_tokenizer(bundle.model_path)
    for method in METHODS:
        explainer = Explainer.of_model(model, tokenizer, bundle.task, facts.max_length, method)
        explainer.explain(rows.take([0]))  # imports and first calls are not what is measured
        started = time.perf_counter()
        texts = explainer.explain(rows)
        seconds = time.perf_counter() - started
        found = explainer.faithfulness(texts, draws=arguments.draws)
        assert found is not None
        pairs = (
            ("comprehensiveness", found.comprehensiveness, found.random_comprehensiveness),
            ("sufficiency", found.sufficiency, found.random_sufficiency),
        )
        told = "  ".join(
            f"{measure} {points(own)} against {points(chance)}" for measure, own, chance in pairs
        )
        steps = [one.attribution.steps for text in texts for one in text.explanations]
        most = f", {max(steps)} steps at the most" if steps[0] else ""
        print(
            f"{name:10} {method:21} {told}  {1000 * seconds / len(texts):.0f} ms a text{most}",
            flush=True,
        )


def points(estimate: Estimate) -> str:
    value, low, high = (100 * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
