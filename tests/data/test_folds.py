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
