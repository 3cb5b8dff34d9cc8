"""Training, validation and test parts that share no text and all know every label."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from tunesmith.data._build import labels_of
from tunesmith.data._content import row_keys
from tunesmith.errors import ConfigError, DataError, Fault
from tunesmith.types import Dataset

__all__ = ["Split", "split_dataset"]

_FEWEST_ROWS = 2  # in each part
_FEWEST_TEXTS = 3  # of a label, for it to be in every part
_NO_LABEL = ""
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


def split_dataset(dataset: Dataset, *, validation: float, test: float, seed: int) -> Split:
    """Splits so that labels are spread alike and equal texts stay on one side.

    Rows are grouped by text (`row_keys`) and the groups put in an order that depends on text and
    seed alone, so that the parts are the same whatever the order of the rows. A part takes, one
    after the other, a group of the label that it lacks most: the largest remainder method for
    one label a row, and near to iterative stratification (Sechidis et al., ECML 2011) for
    several. Every label keeps a training row; one with three texts or more is in every part.
    The test part does not depend on the size of the validation part, where texts are plenty.

    Args:
        dataset: what to split.
        validation: the share of rows for validation, 0 for none.
        test: the share of rows for the test, 0 for none.
        seed: another seed, another split.

    Raises:
        ConfigError: the shares are negative or leave nothing to train on.
        DataError: there are too few rows, or too few different texts.
    """
    _check_shares(validation, test)
    groups = _groups(dataset, seed)
    pool = _Pool(groups)
    num_rows = len(dataset)
    later = int(validation > 0)
    chosen_test = pool.take(_size(num_rows, test), num_rows, later)
    chosen_validation = pool.take(_size(num_rows, validation), num_rows, 0)
    chosen = {*chosen_test, *chosen_validation}
    chosen_train = [place for place in range(len(groups)) if place not in chosen]
    asked = [("training", True, chosen_train), ("validation", validation > 0, chosen_validation)]
    for name, wanted, places in [*asked, ("test", test > 0, chosen_test)]:
        if wanted and sum(len(groups[place].rows) for place in places) < _FEWEST_ROWS:
            raise _too_few(dataset, len(groups), name)
    return Split(
        _part(dataset, groups, chosen_train),
        _part(dataset, groups, chosen_validation),
        _part(dataset, groups, chosen_test) if test > 0 else None,
    )


@dataclass(frozen=True)
class _Group:
    """Rows of one text: their places, and how many of them have each label."""

    rows: list[int] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)


def _groups(dataset: Dataset, seed: int) -> list[_Group]:
    by_key: defaultdict[bytes, _Group] = defaultdict(_Group)
    for place, key in enumerate(row_keys(dataset)):
        group = by_key[key]
        group.rows.append(place)
        labels = () if dataset.targets is None else labels_of(dataset.targets[place])
        group.labels.update(labels or (_NO_LABEL,))
    # A keyed hash rather than a generator: the order must not depend on that of the rows.
    salt = hashlib.sha256(str(seed).encode()).digest()
    order = {key: hashlib.blake2b(key, digest_size=16, key=salt).digest() for key in by_key}
    return [by_key[key] for key in sorted(by_key, key=order.__getitem__)]


class _Pool:
    """The groups that no part has taken yet; what is left in the end is for training."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._groups = groups
        self._taken = [False] * len(groups)
        self._of_label: defaultdict[str, list[int]] = defaultdict(list)
        self._num_rows: Counter[str] = Counter()
        for place, group in enumerate(groups):
            self._num_rows.update(group.labels)
            for label in group.labels:
                self._of_label[label].append(place)
        self._num_left = {label: len(places) for label, places in self._of_label.items()}
        self._is_wide = {
            label: len(places) >= _FEWEST_TEXTS for label, places in self._of_label.items()
        }

    def take(self, size: int, num_rows: int, num_later: int) -> list[int]:
        """Takes groups of about `size` of `num_rows` rows.

        Args:
            size: how many rows; 0 takes nothing.
            num_rows: the rows that all parts have together.
            num_later: how many parts will take after this one, besides training.
        """
        if not size:
            return []
        chosen: list[int] = []
        lacking = {label: count * size / num_rows for label, count in self._num_rows.items()}

        def choose(place: int) -> None:
            self._taken[place] = True
            chosen.append(place)
            for label, count in self._groups[place].labels.items():
                self._num_left[label] -= 1
                lacking[label] -= count

        self._cover(choose, num_later)
        num_wanted = size - sum(len(self._groups[place].rows) for place in chosen)
        self._fill(choose, lacking, num_wanted, num_later)
        return chosen

    def _cover(self, choose: _Choose, num_later: int) -> None:
        """Gives the part a group of each label that has enough of them, the rarest label first."""
        covered: set[str] = set()
        for label in sorted(self._of_label, key=lambda each: (self._num_rows[each], each)):
            if label in covered or not self._is_wide[label]:
                continue
            allowed = (p for p in self._of_label[label] if self._allows(p, num_later))
            place = min(allowed, key=lambda p: len(self._groups[p].rows), default=None)
            if place is not None:
                choose(place)
                covered.update(self._groups[place].labels)

    def _fill(
        self, choose: _Choose, lacking: dict[str, float], num_wanted: int, num_later: int
    ) -> None:
        """Adds groups of the label that the part lacks most, until it has `num_wanted` more."""
        heap = [(-amount, label) for label, amount in lacking.items()]
        heapify(heap)
        waiting = {label: iter(places) for label, places in self._of_label.items()}
        while heap and num_wanted > 0:
            amount, label = heappop(heap)
            if -amount > lacking[label]:  # it has got rows by way of another label since
                heappush(heap, (-lacking[label], label))
                continue
            fitting = self._next(waiting[label], num_wanted, num_later)
            if fitting is not None:
                choose(fitting)
                num_wanted -= len(self._groups[fitting].rows)
                heappush(heap, (-lacking[label], label))

    def _next(self, places: Iterable[int], num_wanted: int, num_later: int) -> int | None:
        for place in places:
            if len(self._groups[place].rows) <= num_wanted and self._allows(place, num_later):
                return place
        return None

    def _allows(self, place: int, num_later: int) -> bool:
        """Whether taking a group leaves all its labels enough for training and later parts."""
        if self._taken[place]:
            return False
        return all(
            self._num_left[label] > 1 + (num_later if self._is_wide[label] else 0)
            for label in self._groups[place].labels
        )


def _size(num_rows: int, share: float) -> int:
    return max(_FEWEST_ROWS, round(num_rows * share)) if share > 0 else 0


def _part(dataset: Dataset, groups: Sequence[_Group], places: Sequence[int]) -> Dataset:
    return dataset.take(sorted(row for place in places for row in groups[place].rows))


def _check_shares(validation: float, test: float) -> None:
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


def _too_few(dataset: Dataset, num_texts: int, name: str) -> DataError:
    what = f"{len(dataset):,} rows with {num_texts:,} different texts are too few to split"
    mend = f"the {name} part would have fewer than {_FEWEST_ROWS} rows: add rows"
    return DataError(what, where=dataset.source, mend=mend)
