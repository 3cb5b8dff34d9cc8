"""Training, validation and test parts that share no text and all know every label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._groups import Groups, group_rows
from tunesmith.errors import ConfigError, DataError, Fault
from tunesmith.types import Dataset

__all__ = ["FEWEST_ROWS", "Split", "check_shares", "split_dataset"]

FEWEST_ROWS = 2
"""Of each part that is asked for."""

_MOST_DRAWN = 2  # times its share: chance gives small parts, or a large group, more
_FEWEST_TEXTS = 3  # of a label, for it to be in every part
_Choose: TypeAlias = Callable[[int], None]


@dataclass(frozen=True)
class Split:
    """The parts of a dataset, each in the order of the file.

    Attributes:
        train: what weights are learned from.
        validation: what choices are made on; empty where none was asked for.
        test: what is measured on, once; None where none was asked for.
    """

    train: Dataset
    validation: Dataset
    test: Dataset | None = None


def split_dataset(
    dataset: Dataset,
    *,
    validation: float,
    test: float,
    seed: int,
    stratified: bool = False,
    owners: Sequence[bytes] | None = None,
    links: NDArray[np.int64] | None = None,
) -> Split:
    """Splits so that every part knows every label, and what belongs together is on one side.

    Rows are grouped by text, and by `owners` and `links` where they are given. Each group has a
    position from 0 to 1, drawn by its content and the seed: the first ones are the test part, the
    next the validation part. So the parts are the same whatever the order of the rows, rows that
    are added later leave the others where they are, and shares are met as nearly as chance will
    have it. Every label keeps a training row; one with three texts or more is in every part.

    With `stratified`, labels are spread alike instead: a part takes, one after the other, the first
    group of the label that it lacks most, which is the largest remainder method for one label a
    row, and near to iterative stratification (Sechidis et al., ECML 2011) for several. Then a few
    rows change sides when others are added.

    The test part does not depend on the size of the validation part, where texts are plenty.

    Args:
        dataset: what to split.
        validation: the share of rows for validation, 0 for none.
        test: the share of rows for the test, 0 for none.
        seed: another seed, another split.
        stratified: whether each part gets its exact share of every label.
        owners: of each row what it belongs to, such as its customer.
        links: int64 [pairs, 2], places of rows that belong together besides.

    Raises:
        ConfigError: the shares are negative or leave nothing to train on.
        DataError: there are too few rows, or too few different texts or owners.
    """
    check_shares(validation, test)
    groups = group_rows(dataset, seed, owners=owners, links=links)
    pool = _Pool(groups, stratified=stratified)
    chosen_test = pool.take(0.0, test, num_later=int(validation > 0))
    chosen_validation = pool.take(test, test + validation, num_later=0)
    part_of_group = np.zeros(len(groups), dtype=np.int8)  # places in `asked`
    part_of_group[chosen_validation] = 1
    part_of_group[chosen_test] = 2
    part_of_row = np.empty(len(dataset), dtype=np.int8)
    part_of_row[groups.rows] = np.repeat(part_of_group, groups.sizes)
    asked = (("training", True), ("validation", validation > 0), ("test", test > 0))
    parts = [np.flatnonzero(part_of_row == place) for place in range(len(asked))]
    for (name, wanted), rows in zip(asked, parts, strict=True):
        if wanted and len(rows) < FEWEST_ROWS:
            what = "texts" if owners is None else "owners"
            raise _too_few(dataset, f"{len(groups):,} different {what}", name)
    train, validated, tested = (dataset.take(rows) for rows in parts)
    return Split(train, validated, tested if test > 0 else None)


class _Pool:
    """The groups that no part has taken yet; what is left in the end is for training."""

    def __init__(self, groups: Groups, *, stratified: bool) -> None:
        self._groups = groups
        self._stratified = stratified
        self._taken = np.zeros(len(groups), dtype=bool)
        self._of_label = groups.of_label()
        self._num_rows = groups.num_rows_of_label()
        self._num_left = [len(places) for places in self._of_label]
        self._is_wide = [num_texts >= _FEWEST_TEXTS for num_texts in self._num_left]

    def take(self, start: float, stop: float, *, num_later: int) -> list[int]:
        """Takes groups from position `start` to `stop`; or as many rows, with `stratified`.

        Args:
            start, stop: from 0 to 1; where they are equal, nothing is taken.
            num_later: how many parts will take after this one, besides training.
        """
        if start == stop:
            return []
        num_rows = len(self._groups.rows)
        size = max(FEWEST_ROWS, round(num_rows * (stop - start)))
        chosen: list[int] = []
        lacking = [count * size / num_rows for count in self._num_rows]

        def choose(place: int) -> None:
            self._taken[place] = True
            chosen.append(place)
            for label, count in self._groups.labels_of(place):
                self._num_left[label] -= 1
                lacking[label] -= count

        if not self._stratified:
            self._draw(choose, start, stop, _MOST_DRAWN * size, num_later)
        self._cover(choose, chosen, num_later)
        wanted = size if self._stratified else FEWEST_ROWS
        num_wanted = wanted - int(self._groups.sizes[chosen].sum())
        self._fill(choose, lacking, num_wanted, num_later)
        return chosen

    def _draw(
        self, choose: _Choose, start: float, stop: float, num_rows: int, num_later: int
    ) -> None:
        """Chooses the groups from `start` to `stop` that `num_rows` have room for."""
        first, last = np.searchsorted(self._groups.positions, (start, stop)).tolist()
        for place in range(first, last):
            size = int(self._groups.sizes[place])
            if size <= num_rows and self._allows(place, num_later):
                choose(place)
                num_rows -= size

    def _cover(self, choose: _Choose, chosen: Sequence[int], num_later: int) -> None:
        """Gives the part a group of each label that has enough of them, the rarest label first."""
        covered = {label for place in chosen for label, _ in self._groups.labels_of(place)}
        for label in sorted(range(len(self._num_rows)), key=self._num_rows.__getitem__):
            if label in covered or not self._is_wide[label]:
                continue
            place = self._smallest(self._of_label[label], num_later)
            if place is not None:
                choose(place)
                covered.update(label for label, _ in self._groups.labels_of(place))

    def _smallest(self, places: NDArray[np.int64], num_later: int) -> int | None:
        """The first of the smallest groups that may be taken."""
        best, fewest = None, 0
        for place in places:
            size = int(self._groups.sizes[place])
            if (best is None or size < fewest) and self._allows(place, num_later):
                best, fewest = int(place), size
                if size == 1:
                    break
        return best

    def _fill(self, choose: _Choose, lacking: list[float], num_wanted: int, num_later: int) -> None:
        """Adds groups of the label that the part lacks most, until it has `num_wanted` more."""
        heap = [(-amount, label) for label, amount in enumerate(lacking)]
        heapify(heap)
        waiting = [iter(places) for places in self._of_label]
        while heap and num_wanted > 0:
            amount, label = heappop(heap)
            if -amount > lacking[label]:  # it has got rows by way of another label since
                heappush(heap, (-lacking[label], label))
                continue
            fitting = self._next(waiting[label], num_wanted, num_later)
            if fitting is not None:
                choose(fitting)
                num_wanted -= int(self._groups.sizes[fitting])
                heappush(heap, (-lacking[label], label))

    def _next(self, places: Iterable[int], num_wanted: int, num_later: int) -> int | None:
        for place in places:
            if self._groups.sizes[place] <= num_wanted and self._allows(place, num_later):
                return int(place)
        return None

    def _allows(self, place: int, num_later: int) -> bool:
        """Whether taking a group leaves all its labels enough for training and later parts."""
        if self._taken[place]:
            return False
        return all(
            self._num_left[label] > 1 + (num_later if self._is_wide[label] else 0)
            for label, _ in self._groups.labels_of(place)
        )


def check_shares(validation: float, test: float) -> None:
    """Refuses shares that are none, or that leave nothing to train on.

    Raises:
        ConfigError: with all that is wrong.
    """
    faults = [
        Fault(f"the {name} share is {share:g}", mend="give a number from 0 to below 1")
        for name, share in (("validation", validation), ("test", test))
        if not 0 <= share < 1
    ]
    if not faults and validation + test >= 1:
        what = f"validation ({validation:g}) and test ({test:g}) leave nothing to train on"
        faults.append(Fault(what, mend="let them add up to less than 1"))
    if faults:
        raise ConfigError.of(faults)


def _too_few(dataset: Dataset, having: str, name: str) -> DataError:
    what = f"{len(dataset):,} rows with {having} are too few to split"
    mend = f"the {name} part would have fewer than {FEWEST_ROWS} rows: add rows"
    return DataError(what, where=dataset.source, mend=mend)
