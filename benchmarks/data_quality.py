"""What `tunesmith check` finds of faults whose truth is known, on public data.

    python benchmarks/data_quality.py near      # near-duplicates planted in Banking77
    python benchmarks/data_quality.py labels --peer-python PEER/bin/python   # wrong labels
    python benchmarks/data_quality.py gain      # what a probe gains from what was found
    python benchmarks/data_quality.py dirty     # missing values and slips of the hand in tables
    python benchmarks/data_quality.py overlap   # test rows that stand in the training file

Near-duplicates: a tenth of the texts is copied with another case, without punctuation, or with one
word changed. Copies found are recall. Pairs found that are no copies were in the data before; they
count as right where they are what the documentation calls near: equal but for case and punctuation,
or a word apart.

Labels: AG News with labels by people (a half of the rows served to choose settings, the other did
not), TREC-6 and Banking77 as they are and with a share of labels changed at random, and the wrong
labels planted in the samples. PEER is a virtual environment with cleanlab==2.9.0 in it; it is given
the same features, and used as its tutorial for texts does. Gain: a logistic regression on frozen
features, judged on clean test rows; a seed draws nine tenths of the training rows. Features are
made anew (minutes) unless --features names a folder that has them, where they are kept as well.

Dirty tables: each column in turn is the text that is read. A cell is dirty where it differs from
the clean version of the table; missing where it is empty or a placeholder there; the others are
dirty in other ways (another format or value; in `hospital` letters that became an x).
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from _datasets import DATA, DATASETS
from sklearn.linear_model import LogisticRegression

import tunesmith
from tunesmith import samples
from tunesmith.bases import extract_features, find_base, load_tokenizer, new_classifier, tokenize
from tunesmith.checks import Subject, check_suspected_labels
from tunesmith.checks._judges import by_neighbours, unit_length
from tunesmith.checks._missing import check_missing, check_placeholders
from tunesmith.checks._misspelt import check_misspelt_values
from tunesmith.checks._near import connected, near_pairs
from tunesmith.checks._wrong_labels import SUSPECTED, probabilities_of_wrong
from tunesmith.data import Table, choose_columns, read_table

PEER = Path(__file__).with_name("_cleanlab.py")
WORDS = re.compile(r"\w+")


def near(options: argparse.Namespace) -> None:
    for seed in options.seeds:
        near_of(seed)


def near_of(seed: int) -> None:
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


def labels(options: argparse.Namespace) -> None:
    for name, subject, wrong in noisy_sets():
        features = encoded(name.split(" ")[0], subject, options.features)
        started = time.perf_counter()
        found = list(check_suspected_labels(subject, np.arange(subject.num_rows), features))
        seconds = time.perf_counter() - started
        flagged = np.zeros(len(wrong), dtype=bool)
        flagged[[row - 1 for one in found for row in one.rows]] = True
        print(f"labels: {name}: {told(flagged, wrong)}; {seconds:.0f} s", flush=True)
        if name == "agnews":
            half = np.random.default_rng(123).permutation(len(wrong)) % 2 == 1
            print(f"labels: its half not chosen on: {told(flagged[half], wrong[half])}")
        if options.peer_python and name.startswith("agnews"):
            print(f"labels: {name}, cleanlab: {told(peer(subject, features, options), wrong)}")
    for path in sorted(Path(samples.__file__).parent.glob("*.csv")):
        table = read_table(path)
        columns = choose_columns(table)
        subject = whole(Subject(table, columns.text, columns.target))
        found = list(check_suspected_labels(
            subject, np.arange(subject.num_rows), encoded(path.stem, subject, options.features)
        ))  # fmt: skip
        texts = {str(subject.whole_texts[row - 1]) for one in found for row in one.rows}
        planted = json.loads(path.with_suffix(".flaws.json").read_text())["wrong_labels"]
        known = table.column(columns.text[0])
        hit = sum(known[one["row"] - 1] in texts for one in planted)
        print(f"labels: {path.stem}: {hit} of {len(planted)} planted among {len(texts)} flagged")


def noisy_sets() -> Iterator[tuple[str, Subject, np.ndarray]]:
    """A name, complete rows, and which of their labels are wrong."""
    table = read_table(DATA / "agnews_noisy" / "train_noisy_10k.csv")
    wrong = np.array(table.column("label")) != np.array(table.column("gt"))
    yield "agnews", Subject(table, ("text",), "label"), wrong
    with tempfile.TemporaryDirectory() as folder:
        for name in ("trec6", "banking77"):
            files = DATASETS[name](Path(folder))
            subject = whole(Subject(read_table(files.train), (files.text,), files.target))
            right = np.array(subject.table.column(files.target))
            for share in (0.0, 0.02, 0.1):
                given = changed_labels(right, share)
                table = subject.table.with_columns({files.target: given.tolist()})
                noisy = Subject(table, subject.text, files.target)
                yield f"{name} {share:.0%} changed", noisy, given != right


def whole(subject: Subject) -> Subject:
    """The rows that have text and label."""
    arrow = subject.table.arrow.filter(pa.array(subject.is_complete))
    return Subject(Table(arrow, subject.source), subject.text, subject.target)


def changed_labels(right: np.ndarray, share: float) -> np.ndarray:
    generator = np.random.default_rng(0)
    known, given = np.unique(right), right.copy()
    for place in generator.choice(len(right), int(share * len(right)), replace=False):
        others = known[known != right[place]]
        given[place] = others[generator.integers(len(others))]
    return given


def encoded(name: str, subject: Subject, folder: Path | None) -> np.ndarray:
    """What the frozen base makes of the texts; kept in the folder."""
    kept = folder / f"{name}.npy" if folder else None
    if kept is not None and kept.exists():
        return np.load(kept)
    base = find_base("minilm")
    tokens = tokenize(load_tokenizer(base.path), subject.dataset.inputs, base.max_length)
    features = extract_features(new_classifier(base.path, base.pooling, 1), tokens)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, features)
    return features


def told(flagged: np.ndarray, wrong: np.ndarray) -> str:
    share = f"{flagged.sum():,} flagged of {len(wrong):,}"
    if not wrong.any():
        return f"{share}, none changed"
    return (
        f"{share}, {wrong.sum():,} wrong; precision {wrong[flagged].mean():.3f}, "
        f"recall {flagged[wrong].mean():.3f}"
    )


def peer(subject: Subject, features: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """What cleanlab flags, in a Python of its own."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "features.npy", features)
        np.save(Path(folder) / "labels.npy", subject.label_codes)
        subprocess.run([options.peer_python, str(PEER), folder], check=True)
        flagged = np.zeros(len(features), dtype=bool)
        flagged[np.load(Path(folder) / "flagged.npy")] = True
        return flagged


def gain(options: argparse.Namespace) -> None:
    """Accuracy in % on clean test rows, by what is done about suspected labels."""
    table = read_table(DATA / "agnews_noisy" / "train_noisy_10k.csv")
    test = read_table(DATA / "agnews_noisy" / "test_7600.csv")
    features = unit_length(encoded("agnews", Subject(table, ("text",)), options.features))
    judged = unit_length(encoded("agnews-test", Subject(test, ("text",)), options.features))
    texts = [str(text) for text in table.column("text")]
    given, right = (np.array(table.column(name)).astype(int) for name in ("label", "gt"))
    truth = np.array(test.column("gt")).astype(int)
    reached: dict[str, list[float]] = {}
    for seed in options.seeds:
        drawn = np.random.default_rng(seed).permutation(len(given))[: len(given) * 9 // 10]
        own, labelled = features[drawn], given[drawn]
        wrong, believed = probabilities_of_wrong(own, [texts[i] for i in drawn], labelled, 4)
        expected = believed.argmax(axis=1)
        for name, rows, targets, weights in remedies(own, labelled, wrong, expected, right[drawn]):
            model = LogisticRegression(C=10.0, max_iter=300).fit(own[rows], targets, weights)
            reached.setdefault(name, []).append(100 * np.mean(model.predict(judged) == truth))
    for name, values in reached.items():
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        print(f"gain: {name}: {np.mean(values):.2f} ± {spread:.2f}, {len(values)} seeds")


def remedies(
    features: np.ndarray,
    given: np.ndarray,
    wrong: np.ndarray,
    expected: np.ndarray,
    right: np.ndarray,
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]]:
    """A name, and the rows, labels and weights to train on."""
    rows = np.arange(len(given))
    flagged, disputed = wrong > SUSPECTED, expected != given
    near = by_neighbours(features, given, 4)
    yield "labels as given", rows, given, None
    yield "true labels", rows, right, None
    yield "flagged rows put right by a person", rows, np.where(flagged, right, given), None
    yield "flagged rows dropped", rows[~flagged], given[~flagged], None
    yield "flagged rows relabelled", rows, np.where(flagged, expected, given), None
    yield "rows weighted by the probability of being right", rows, given, 1 - wrong
    both = np.concatenate([given, expected])
    weights = np.concatenate([1 - wrong, wrong])
    yield "both labels, weighted", np.tile(rows, 2), both, weights
    yield "all disputed rows dropped", rows[~disputed], given[~disputed], None
    yield "all disputed rows relabelled", rows, expected, None
    names, soft = np.repeat(np.arange(4), len(rows)), near.T.ravel() + 1e-9
    yield "what the neighbours say, as weights", np.tile(rows, 4), names, soft
    sharp = near**4 / (near**4).sum(axis=1, keepdims=True)  # 4: by rows left out of the training
    yield "the same, sharpened", np.tile(rows, 4), names, sharp.T.ravel() + 1e-9


def dirty(_: argparse.Namespace) -> None:
    for folder in sorted((DATA / "dirty_tables").iterdir()):
        if not folder.is_dir():
            continue
        given, clean = (cells(folder / f"{part}.csv") for part in ("dirty", "clean"))
        table = read_table(folder / "dirty.csv")
        is_dirty = given != clean
        blank = np.isin(np.char.lower(np.char.strip(given)), ["", "n/a", "nan", "null"])
        missing, slips = np.zeros_like(is_dirty), np.zeros_like(is_dirty)
        for place, name in enumerate(table.column_names):
            subject = Subject(table, (name,))
            for check in (check_missing, check_placeholders):
                for one in check(subject):
                    missing[one.rows - 1, place] = True
        right = 0
        for found in check_misspelt_values(Subject(table, (table.column_names[0],))):
            place = table.column_names.index(found.column)
            slips[found.rows - 1, place] = True
            right += sum(clean[one["row"] - 1, place] == one["suggested"] for one in found.details)
        gone, other = is_dirty & blank, is_dirty & ~blank
        false, empty = missing & ~blank & ~is_dirty, missing & blank & ~is_dirty
        print(
            f"dirty: {folder.name}: missing {(missing & gone).sum():,} of {gone.sum():,} found, "
            f"{false.sum():,} false, {empty.sum():,} empty in the clean table too; misspelt "
            f"{(slips & other).sum():,} of {other.sum():,} other dirty cells found, {right:,} with "
            f"the right value, {(slips & ~is_dirty).sum():,} false"
        )


def cells(file: Path) -> np.ndarray:
    """A table's cells as they are written, without the header; [rows, columns]."""
    with file.open(newline="", encoding="utf-8") as opened:
        return np.array(list(csv.reader(opened))[1:], dtype=str)


def overlap(_: argparse.Namespace) -> None:
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
    parts = {"near": near, "labels": labels, "gain": gain, "dirty": dirty, "overlap": overlap}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--features", type=Path, help="a folder to keep features in")
    parser.add_argument("--peer-python", help="a Python that has cleanlab")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    if unknown := [part for part in arguments.parts if part not in parts]:
        parser.error(f"no part is called {unknown[0]!r}")
    for part in arguments.parts or parts:
        parts[part](arguments)


if __name__ == "__main__":
    main()
