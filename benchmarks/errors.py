"""Planted label errors in a test set: are they among the surest mistakes, and are they marked?

    python benchmarks/errors.py banking77 trec6

A share of the test labels is changed to another one at random, which nobody but this script knows.
A probe (logistic regression on the frozen MiniLM) learns from the training rows as they are and is
judged against the changed labels, as a report does. Reported: how many of the k planted errors are
among the k and 2k most confident mistakes, and how many labels are marked as likely wrong, rightly
(precision counts the data's own wrong labels against it). Means over three seeds; a seed draws the
rows and their labels. Features are made anew (minutes) unless --features names a folder with them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from _datasets import DATASETS
from sklearn.linear_model import LogisticRegression

from tunesmith.bases import extract_features, find_base, load_tokenizer, new_classifier, tokenize
from tunesmith.data import read_table
from tunesmith.evaluation import judge_errors, most_confident_mistakes
from tunesmith.tasks import Field, TextClassification
from tunesmith.types import Dataset

SHARES = (0.0, 0.02, 0.05, 0.1)
SEEDS = (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=sorted(DATASETS))
    parser.add_argument("--features", type=Path, help="folder to keep the features in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            kept = options.features or Path(folder)
            kept.mkdir(parents=True, exist_ok=True)
            measure(name, Path(folder), kept)


def measure(name: str, folder: Path, kept: Path) -> None:
    """Prints a line for each share of changed labels."""
    files = DATASETS[name](folder)
    train, test = (read(file, files.text, files.target) for file in (files.train, files.test))
    labels = tuple(sorted(set(train.targets)))
    task = TextClassification((Field(files.text),), labels)
    features = [encoded(part, kept / f"{name}-{which}.npy") for part, which in
                ((train, "train"), (test, "test"))]  # fmt: skip
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(features[0], task.encode(train.targets))
    probabilities = model.predict_proba(features[1])
    true = task.encode(test.targets)
    right = (probabilities.argmax(axis=1) == true).mean()
    print(f"{name}: {len(test):,} test rows, probe right in {right:.1%}")
    for share in SHARES:
        figures = [planted(task, test, train, true, probabilities, share, seed) for seed in SEEDS]
        print(f"  {share:.0%} changed:", *mean_of(figures))


def planted(task, test, train, true, probabilities, share, seed) -> dict[str, float]:
    """One draw of changed labels, and what is found of it."""
    generator = np.random.default_rng(seed)
    count = int(share * len(true))
    rows = generator.permutation(len(true))[:count]
    given = true.copy()
    size = len(task.labels)
    given[rows] = (true[rows] + generator.integers(1, size, count)) % size
    wanted = {int(test.rows[row]) for row in rows}
    surest = most_confident_mistakes(task, test, given, probabilities, limit=2 * count)
    top = [mistake.row for mistake in surest]
    started = time.monotonic()
    found = judge_errors(task, test, given, probabilities, known=train, seed=seed)
    marked = {one.row for one in found.doubtful}
    return {
        "planted": count,
        "mistakes": found.num_mistakes,
        "recall among the k surest mistakes": len(wanted & set(top[:count])) / max(count, 1),
        "among the 2k surest": len(wanted & set(top)) / max(count, 1),
        "marked": len(marked),
        "precision": len(wanted & marked) / max(len(marked), 1),
        "recall": len(wanted & marked) / max(count, 1),
        "seconds": time.monotonic() - started,
    }


def mean_of(figures: list[dict[str, float]]) -> list[str]:
    means = {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
    return [f"{name} {value:.3g};" for name, value in means.items()]


def read(file: Path, text: str, target: str) -> Dataset:
    table = read_table(str(file))
    texts, targets = (
        [str(value) for value in table.column(text)], [str(v) for v in table.column(target)]
    )  # fmt: skip
    return Dataset((texts,), targets, np.arange(1, len(texts) + 1), str(file))


def encoded(part: Dataset, file: Path) -> np.ndarray:
    """What the frozen encoder makes of the texts, of unit length."""
    if file.exists():
        return np.load(file)
    base = find_base("minilm")
    classifier = new_classifier(base.path, base.pooling, 2)
    tokens = tokenize(load_tokenizer(base.path), part.inputs, base.max_length)
    features = extract_features(classifier, tokens)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.save(file, features)
    return features


if __name__ == "__main__":
    main()
