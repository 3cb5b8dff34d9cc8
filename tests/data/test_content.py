"""Duplicates across datasets, and fingerprints."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data import (
    Columns,
    Table,
    build_dataset,
    fingerprint,
    overlap,
    read_table,
    write_table,
)
from tunesmith.data._content import digest_array
from tunesmith.types import Dataset, Texts


def dataset(texts: list, targets: list | None = None, first: int = 1) -> Dataset:
    return Dataset((texts,), targets, np.arange(first, first + len(texts)))


def test_overlap() -> None:
    a = dataset(["Hello  World", "x", "hello world", "Caf\u00e9", "STRASSE"])
    b = dataset(["y", " hello\nWORLD ", "cafe\u0301", "x", "stra\u00dfe", "x"], first=11)
    assert overlap(a, b) == [(1, 12), (4, 13), (2, 14), (5, 15), (2, 16)]
    assert overlap(a, dataset([])) == []


def test_overlap_of_pairs() -> None:
    a = Dataset((["x", "x y"], ["y z", "z"]), None, np.array([1, 2]))
    b = Dataset((["X", "x"], ["y  z", "q"]), None, np.array([7, 8]))
    assert overlap(a, b) == [(1, 7)]


def test_overlap_of_bytes_and_arrays() -> None:
    a = dataset([b"\x01", np.array([1.0])])
    assert overlap(a, dataset([np.array([1.0]), b"\x02"])) == [(2, 1)]


@given(st.lists(st.binary(min_size=2, max_size=2), max_size=20))
def test_digests_sort_and_compare_as_bytes(digests: list[bytes]) -> None:
    array = digest_array(iter([bytes([0, 0]), *digests]), 2, len(digests) + 1)
    assert (array[1:] == array[0]).tolist() == [one == bytes([0, 0]) for one in digests]
    array.sort()
    assert array.tobytes() == b"".join(sorted([bytes([0, 0]), *digests]))


def test_fingerprint_of_texts_in_a_block() -> None:
    texts, targets = ["a", "é", ""], ["x", "y", "x"]
    block = Dataset((Texts.of(texts),), targets, np.arange(3))
    assert fingerprint(block) == fingerprint(dataset(texts, targets))


def test_fingerprint_is_stable() -> None:
    """Recorded in manifests: when this changes, the version inside the hash must too."""
    assert fingerprint(dataset(["a", "b"], ["x", ("y", "z")])) == (
        "95c46086d20f1c937de93ef0469025829e0fe96886ac2463aa705f6955637000"
    )


def test_fingerprint_sees_every_difference() -> None:
    prints = [
        fingerprint(each)
        for each in (
            dataset(["a", "b"], ["x", "y"]),
            dataset(["a", "b"], ["y", "x"]),
            dataset(["a", "b"]),
            dataset(["A", "b"], ["x", "y"]),
            dataset(["a", "b", "b"], ["x", "y", "y"]),
            dataset(["a", "b"], [("x",), ("y",)]),
            Dataset((["a", "b"], ["x", "y"]), None, np.arange(2)),
            Dataset((["ax", "b"], ["", "y"]), None, np.arange(2)),
            dataset([], []),
        )
    ]
    assert len(set(prints)) == len(prints)
    assert all(len(one) == 64 for one in prints)


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
FILLED = WORDS.filter(lambda text: bool(text.strip()))


@given(st.lists(st.tuples(FILLED, FILLED), min_size=1, max_size=8), st.data())
def test_fingerprint_ignores_order(rows, data) -> None:
    moved = data.draw(st.permutations(rows))
    one, other = (dataset(*map(list, zip(*each, strict=True))) for each in (rows, moved))
    assert fingerprint(one) == fingerprint(other)


@settings(max_examples=50)
@given(st.lists(st.tuples(FILLED, FILLED), min_size=1, max_size=5), st.booleans())
def test_fingerprint_ignores_format(rows, several: bool) -> None:
    texts, labels = (list(values) for values in zip(*rows, strict=True))
    table = Table(
        pa.table({"text": texts, "label": [[x] for x in labels] if several else labels}), ""
    )
    with tempfile.TemporaryDirectory() as folder:
        prints = set()
        for suffix in (".csv", ".jsonl", ".parquet"):
            path = Path(folder) / f"x{suffix}"
            write_table(table, path)
            loaded = build_dataset(
                read_table(path), Columns(("text",), "label"), multi_label=several
            )
            prints.add(fingerprint(loaded.dataset))
    assert len(prints) == 1
