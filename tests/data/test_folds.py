"""Folds: nothing is in two, and rows that come later move no others."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data import fold_rows
from tunesmith.errors import ConfigError, DataError
from tunesmith.types import Dataset


def dataset(num_rows: int) -> Dataset:
    texts = [f"text {n // 2}{' ' * (n % 2)}" for n in range(num_rows)]
    return Dataset((texts,), ["a", "b"] * (num_rows // 2), np.arange(1, num_rows + 1), "x.csv")


def test_folds() -> None:
    folds = fold_rows(dataset(2000), 5, seed=0)
    assert np.all(folds[::2] == folds[1::2])  # equal texts
    assert np.all(np.abs(np.bincount(folds) - 400) < 60)
    assert folds[:1000].tolist() == fold_rows(dataset(1000), 5, seed=0).tolist()
    assert folds.tolist() != fold_rows(dataset(2000), 5, seed=1).tolist()


def test_owners_and_links() -> None:
    owners = [str(n % 50).encode() for n in range(400)]
    data = Dataset(([f"t {n}" for n in range(400)],), ["a", "b"] * 200, np.arange(1, 401))
    folds = fold_rows(data, 4, seed=0, owners=owners, links=np.array([[0, 1], [1, 2]]))
    assert all(len(set(folds[own::50].tolist())) == 1 for own in range(50))
    assert folds[0] == folds[1] == folds[2]


def test_refused() -> None:
    with pytest.raises(ConfigError, match="1 folds are none"):
        fold_rows(dataset(10), 1, seed=0)
    with pytest.raises(DataError, match="4 different texts are too few for 10 folds"):
        fold_rows(dataset(8), 10, seed=0)


def test_labels_are_spread_alike_whatever_the_order_of_the_rows() -> None:
    labels = ["a"] * 700 + ["b"] * 251 + ["c"] * 7
    data = Dataset(([f"t {n}" for n in range(958)],), labels, np.arange(1, 959), "x.csv")
    folds = fold_rows(data, 5, seed=0, stratified=True)
    for label, fewest in (("a", 140), ("b", 50), ("c", 1)):
        counts = np.bincount(folds[[one == label for one in labels]], minlength=5)
        assert counts.min() == fewest
        assert counts.max() <= fewest + 1
    order = np.random.default_rng(0).permutation(958)
    assert fold_rows(data.take(order), 5, seed=0, stratified=True).tolist() == folds[order].tolist()
    assert fold_rows(data, 5, seed=1, stratified=True).tolist() != folds.tolist()


def test_several_labels_a_row_are_spread_alike() -> None:
    generator = np.random.default_rng(0)
    given = generator.random((1000, 4)) < np.array([0.5, 0.2, 0.1, 0.03])
    targets = [tuple("wxyz"[n] for n in np.flatnonzero(row)) for row in given]
    data = Dataset(([f"t {n}" for n in range(1000)],), targets, np.arange(1, 1001))
    folds = fold_rows(data, 5, seed=0, stratified=True)
    for column in given.T:
        counts = np.bincount(folds[column], minlength=5)
        assert counts.max() - counts.min() <= 2
    assert np.all(np.abs(np.bincount(folds) - 200) <= 6)


def test_a_label_too_rare_is_named() -> None:
    data = Dataset(([f"t {n}" for n in range(20)],), ["a"] * 17 + ["b"] * 3, np.arange(1, 21))
    with pytest.raises(DataError, match=r"than the 5 folds: 'b' \(3\).*\n.*ask for 3 folds"):
        fold_rows(data, 5, seed=0, stratified=True)
    owners = [b"one"] * 15 + [b"two"] * 5
    with pytest.raises(DataError, match=r"fewer different owners than the 3 folds: 'b' \(1\)"):
        fold_rows(data, 3, seed=0, stratified=True, owners=owners)
