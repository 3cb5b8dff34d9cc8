"""Folds for cross-validation that share no text, and stay as they are when rows are added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._groups import group_rows
from tunesmith.errors import ConfigError, DataError
from tunesmith.types import Dataset

__all__ = ["fold_rows"]

_SALT = 0x666F6C64  # so that a fold is not a piece of the test part of the same seed


def fold_rows(
    dataset: Dataset,
    num_folds: int,
    seed: int,
    *,
    owners: Sequence[bytes] | None = None,
    links: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """The fold of each row, from 0 to below `num_folds`; int64 [n].

    What belongs together (`split_dataset` says what does) is in one fold, which is drawn by what
    it holds and the seed. A label with fewer texts than folds is absent from some.

    Raises:
        ConfigError: there are fewer than two folds.
        DataError: a fold would be empty.
    """
    if num_folds < 2:
        raise ConfigError(f"{num_folds} folds are none", mend="give 2 or more; 5 and 10 are usual")
    groups = group_rows(dataset, seed ^ _SALT, owners=owners, links=links)
    of_group = np.minimum((groups.positions * num_folds).astype(np.int64), num_folds - 1)
    folds = np.empty(len(dataset), dtype=np.int64)
    folds[groups.rows] = np.repeat(of_group, groups.sizes)
    if (np.bincount(folds, minlength=num_folds) == 0).any():
        what = f"{len(groups):,} different texts are too few for {num_folds} folds"
        raise DataError(what, where=dataset.source, mend="ask for fewer folds, or add rows")
    return folds
