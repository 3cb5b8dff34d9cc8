"""What `tunesmith check` finds of faults whose truth is known, on public data.

    python benchmarks/data_quality.py near      # near-duplicates planted in Banking77
    python benchmarks/data_quality.py labels    # wrong labels by humans in AG News
    python benchmarks/data_quality.py overlap   # test rows that stand in the training file

Near-duplicates: a tenth of the texts is copied with another case, without punctuation, or with one
word changed. Copies found are recall. Pairs found that are no copies were in the data before; they
count as right where they are what the documentation calls near: equal but for case and punctuation,
or a word apart.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from _datasets import DATA, DATASETS

import tunesmith
from tunesmith.checks._near import connected, near_pairs
from tunesmith.data import read_table

WORDS = re.compile(r"\w+")


def near(seed: int) -> None:
    texts = read_table(DATA / "banking77" / "train.csv").column("text")
    generator = np.random.default_rng(seed)
    chosen = generator.choice(len(texts), len(texts) // 10, replace=False)
    kinds = ("case", "punctuation", "word")
    copies = [changed(str(texts[i]), kinds[n % 3], generator) for n, i in enumerate(chosen)]
    started = time.perf_counter()
    pairs = near_pairs(iter([(0, pa.array([*texts, *copies]))]))
    seconds = time.perf_counter() - started
    group_of = {place: g for g, group in enumerate(connected(pairs)) for place in group}
    found = {kind: [] for kind in kinds}
    for n, original in enumerate(chosen.tolist()):
        own = group_of.get(len(texts) + n, -1)
        found[kinds[n % 3]].append(own >= 0 and own == group_of.get(original, -2))
    every = [*map(str, texts), *copies]
    sample = generator.permutation(pairs)[:500].tolist()
    right = [is_word_apart(every[a], every[b]) for a, b in sample]
    recalls = ", ".join(f"{kind} {np.mean(own):.3f}" for kind, own in found.items())
    total = np.mean([one for own in found.values() for one in own])
    print(
        f"near, seed {seed}: recall {total:.3f} ({recalls}); precision {np.mean(right):.3f} of "
        f"500 pairs; {seconds:.2f} s for {len(texts) + len(copies):,} texts"
    )


def changed(text: str, kind: str, generator: np.random.Generator) -> str:
    if kind == "case":
        return text.upper()
    if kind == "punctuation":
        return re.sub(r"[^\w\s]", " ", text) + " !"
    words = text.split()
    words[generator.integers(len(words))] = "something"
    return " ".join(words)


def is_word_apart(a: str, b: str) -> bool:
    """Whether two texts are equal in their words but for one, changed, added, left out or moved."""
    left, right = WORDS.findall(a.lower()), WORDS.findall(b.lower())
    return left == right or not without_one(left).isdisjoint(without_one(right))


def without_one(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words), *(tuple(words[:i] + words[i + 1 :]) for i in range(len(words)))}


def labels(_: int) -> None:
    file = DATA / "agnews_noisy" / "train_noisy_10k.csv"
    table = read_table(file)
    wrong = np.array(table.column("label")) != np.array(table.column("gt"))
    checked = tunesmith.check(file, target="label", text="text")
    flagged = np.zeros(len(wrong), dtype=bool)
    for one in checked.findings:
        if one.check == "suspected-label-errors":
            flagged[one.rows - 1] = True
    print(f"labels: {flagged.sum():,} flagged of {len(wrong):,}, {wrong.sum():,} wrong; precision "
          f"{wrong[flagged].mean():.3f}, recall {flagged[wrong].mean():.3f}")  # fmt: skip


def overlap(_: int) -> None:
    for name in ("goemotions", "trec6", "banking77", "sst2"):
        with tempfile.TemporaryDirectory() as folder:
            files = DATASETS[name](Path(folder))
            checked = tunesmith.check(
                files.train, target=files.target, text=files.text, test=files.test, base=None
            )
            counts = {
                one.check: len(one.rows) for one in checked.findings if "-in-train" in one.check
            }
            print(f"overlap: {name}: {counts}")


def main() -> None:
    parts = {"near": near, "labels": labels, "overlap": overlap}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    if unknown := [part for part in arguments.parts if part not in parts]:
        parser.error(f"no part is called {unknown[0]!r}")
    for part in arguments.parts or parts:
        for seed in arguments.seeds if part == "near" else [0]:
            parts[part](seed)


if __name__ == "__main__":
    main()
