"""The public data sets, put into files that `tunesmith train` reads.

The folder is ../shared/data beside the checkout, or $TUNESMITH_BENCH_DATA. Nothing of it is part of
the project; what is made of it lies in a temporary folder.
"""

from __future__ import annotations

import csv
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

DATA = Path(os.environ.get("TUNESMITH_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Files:
    """What a training command is given."""

    train: Path
    test: Path
    target: str
    validation: Path | None = None
    text: str = "text"
    multi_label: bool = False


def banking77(folder: Path) -> Files:
    """77 intents of bank customers' questions; the official split."""
    source = DATA / "banking77"
    return Files(source / "train.csv", source / "test.csv", target="category")


def trec6(folder: Path) -> Files:
    """Six kinds of question; the official split."""
    source = DATA / "trec6"
    files = [_jsonl(folder / f"{part}.jsonl", _rows(source / f"{part}.jsonl")) for part in PARTS]
    return Files(files[0], files[1], target="label")


def sst2(folder: Path) -> Files:
    """Film reviews, positive or negative: 6,920 sentences, the official split."""
    source = DATA / "sst2"
    return Files(
        source / "train.jsonl", source / "test.jsonl", "label", validation=source / "dev.jsonl"
    )


def phrasebank(folder: Path) -> Files:
    """Financial news, three sentiments; 80/20, seed 42, stratified, for want of an official one."""
    from sklearn.model_selection import train_test_split

    rows = _rows(DATA / "financial_phrasebank" / "all_50agree.jsonl")
    train, test = train_test_split(
        rows, test_size=0.2, random_state=42, stratify=[row["label"] for row in rows]
    )
    return Files(
        _jsonl(folder / "train.jsonl", train), _jsonl(folder / "test.jsonl", test), "label"
    )


def cuad(folder: Path) -> Files:
    """Clauses of contracts, 41 types; a fifth of the contracts held out, by contract, seed 42."""
    rows = _rows(DATA / "cuad_clauses" / "clauses.jsonl")
    contracts = sorted({row["doc"] for row in rows})
    random.Random(42).shuffle(contracts)
    held_out = set(contracts[: len(contracts) // 5])
    parts = [[r for r in rows if (r["doc"] in held_out) is wanted] for wanted in (False, True)]
    plain = [[{"text": r["text"], "label": r["label"]} for r in part] for part in parts]
    return Files(
        _jsonl(folder / "train.jsonl", plain[0]), _jsonl(folder / "test.jsonl", plain[1]), "label"
    )


def goemotions(folder: Path) -> Files:
    """Emotions of short comments, 28 labels, several a row; the official split."""
    source = DATA / "goemotions"
    names = (source / "labels_original.txt").read_text().split()
    files = []
    for part in ("train", "dev", "test"):
        with (source / f"{part}.tsv").open(newline="") as opened:
            lines = list(csv.reader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
        rows = [
            {"text": t, "labels": [names[int(i)] for i in ids.split(",")]} for t, ids, _ in lines
        ]
        files.append(_jsonl(folder / f"{part}.jsonl", rows))
    return Files(files[0], files[2], "labels", validation=files[1], multi_label=True)


PARTS = ("train", "test")
DATASETS = {
    "banking77": banking77,
    "trec6": trec6,
    "sst2": sst2,
    "phrasebank": phrasebank,
    "cuad": cuad,
    "goemotions": goemotions,
}


def rows_of(file: Path, files: Files) -> list[tuple[str, str]]:
    """Text and label of each row of one of the files."""
    with file.open(newline="", encoding="utf-8") as opened:
        rows = csv.DictReader(opened) if file.suffix == ".csv" else map(json.loads, opened)
        return [(row[files.text], str(row[files.target])) for row in rows]


def _rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _jsonl(file: Path, rows: list[dict]) -> Path:
    kept = [{k: v for k, v in row.items() if k in {"text", "label", "labels"}} for row in rows]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    return file
