"""Folds for cross-validation that share no text, and do not depend on the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._build import labels_of
from tunesmith.data._groups import Groups, group_rows
from tunesmith.errors import ConfigError, DataError
from tunesmith.types import Dataset

__all__ = ["fold_rows"]

_SALT = 0x666F6C64  # so that a fold is not a piece of the test part of the same seed
_MOST_NAMED = 5


def fold_rows(
    dataset: Dataset,
    num_folds: int,
    seed: int,
    *,
    stratified: bool = False,
    owners: Sequence[bytes] | None = None,
    links: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """The fold of each row, from 0 to below `num_folds`; int64 [n].

    What belongs together (`split_dataset` says what does) is in one fold, which is drawn by what
    it holds and the seed: rows that are added move no others. A label with fewer texts than folds
    is absent from some.

    With `stratified`, labels are spread alike instead. From the rarest label to the most common
    one, the largest group first, each group goes to the fold that lacks that label most; of equal
    folds to the one with the most room (iterative stratification, Sechidis, Tsoumakas & Vlahavas
    2011, here for groups of rows). The same rows, in whatever order, get the same folds; a few
    change theirs when others are added.

    Raises:
        ConfigError: there are fewer than two folds.
        DataError: a fold would be empty; or, with `stratified`, a label has fewer texts (or
            owners) than there are folds.
    """
    if num_folds < 2:
        raise ConfigError(f"{num_folds} folds are none", mend="give 2 or more; 5 and 10 are usual")
    groups = group_rows(dataset, seed ^ _SALT, owners=owners, links=links)
    of_group = np.minimum((groups.positions * num_folds).astype(np.int64), num_folds - 1)
    if stratified:
        _check_labels(dataset, groups, num_folds, "texts" if owners is None else "owners")
        of_group = _dealt(groups, of_group, num_folds)
    folds = np.empty(len(dataset), dtype=np.int64)
    folds[groups.rows] = np.repeat(of_group, groups.sizes)
    if (np.bincount(folds, minlength=num_folds) == 0).any():
        what = f"{len(groups):,} different texts are too few for {num_folds} folds"
        raise DataError(what, where=dataset.source, mend="ask for fewer folds, or add rows")
    return folds


def _check_labels(dataset: Dataset, groups: Groups, num_folds: int, noun: str) -> None:
    """Refuses labels that some fold could not have; `noun` is what they are counted in."""
    names = sorted({name for one in set(dataset.targets or ()) for name in labels_of(one) or ("",)})
    counts = {name: len(own) for name, own in zip(names, groups.of_label(), strict=True) if name}
    rare = sorted((count, name) for name, count in counts.items() if count < num_folds)
    if not rare:
        return
    shown = ", ".join(f"{name!r} ({count})" for count, name in rare[:_MOST_NAMED])
    more = f" and {len(rare) - _MOST_NAMED:,} more" if len(rare) > _MOST_NAMED else ""
    fewest = rare[0][0]
    fewer = f"ask for {fewest} folds, or " if fewest >= 2 else ""
    raise DataError(
        f"labels with fewer different {noun} than the {num_folds} folds: {shown}{more}; in some "
        "fold there would be none to judge",
        where=dataset.source,
        mend=f"{fewer}add rows with these labels, or take them out",
    )


def _dealt(groups: Groups, drawn: NDArray[np.int64], num_folds: int) -> NDArray[np.int64]:
    """A fold for each group, labels alike in all; where folds are equal, the one that was drawn."""
    totals = groups.num_rows_of_label()
    lacking = [[total / num_folds] * num_folds for total in totals]
    room = [len(groups.rows) / num_folds] * num_folds
    fold_of = np.full(len(groups), -1, dtype=np.int64)
    of_label = groups.of_label()
    for label in sorted(range(len(totals)), key=totals.__getitem__):
        places = of_label[label]
        places = places[fold_of[places] < 0]
        for place in places[np.argsort(-groups.sizes[places], kind="stable")].tolist():
            own = int(drawn[place])
            best = max(
                range(num_folds),
                key=lambda fold: (lacking[label][fold], room[fold], -((fold - own) % num_folds)),
            )
            fold_of[place] = best
            room[best] -= int(groups.sizes[place])
            for other, count in groups.labels_of(place):
                lacking[other][best] -= count
    return fold_of
