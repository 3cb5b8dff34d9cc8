"""The rows of a dataset grouped by what they say, as flat arrays: a million groups are 80 MB."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._build import labels_of
from tunesmith.data._content import digest_array, row_keys
from tunesmith.types import Dataset, Target

__all__ = ["Groups", "group_rows"]

_KEY_BYTES = 16
_NO_LABEL = ""


@dataclass(frozen=True)
class Groups:
    """g groups of n rows; labels are numbers, in the order of their names.

    Attributes:
        rows: int64 [n], the rows' places in the dataset, group by group.
        sizes: int64 [g], rows of each group.
        starts: int64 [g + 1]; the labels of group i are at `starts[i]:starts[i + 1]` of the next.
        labels, counts: int64, the labels of each group, and how many of its rows have each.
    """

    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def labels_of(self, group: int) -> Iterator[tuple[int, int]]:
        """The labels of a group, each with how many of its rows have it."""
        own = slice(self.starts[group], self.starts[group + 1])
        return zip(self.labels[own].tolist(), self.counts[own].tolist(), strict=True)

    def num_rows_of_label(self) -> list[int]:
        """Of each label, how many rows have it."""
        totals = np.zeros(self.labels.max(initial=-1) + 1, dtype=np.int64)
        np.add.at(totals, self.labels, self.counts)
        return [int(total) for total in totals]

    def of_label(self) -> list[NDArray[np.int64]]:
        """Of each label, the groups that have it, in their order."""
        groups = np.repeat(np.arange(len(self)), np.diff(self.starts))
        ends = np.cumsum(np.bincount(self.labels))
        return np.split(groups[np.argsort(self.labels, kind="stable")], ends[:-1])


def group_rows(dataset: Dataset, seed: int) -> Groups:
    """Groups rows of equal text (`row_keys`), in an order of text and seed alone."""
    # A keyed hash rather than a generator: the order must not depend on that of the rows.
    salt = hashlib.sha256(str(seed).encode()).digest()
    keys = (
        hashlib.blake2b(key, digest_size=_KEY_BYTES, key=salt).digest() for key in row_keys(dataset)
    )
    digests = digest_array(keys, _KEY_BYTES, len(dataset))
    rows = np.argsort(digests, kind="stable")
    ordered = digests[rows]
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    group_of = np.empty(len(rows), dtype=np.int64)
    group_of[rows] = np.cumsum(begins) - 1
    sizes = np.diff(np.append(np.flatnonzero(begins), len(rows)))
    targets = [()] * len(dataset) if dataset.targets is None else dataset.targets
    return Groups(rows, sizes, *_labels_by_group(targets, group_of, len(sizes)))


def _labels_by_group(
    targets: Sequence[Target], group_of: NDArray[np.int64], num_groups: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`Groups.starts`, `Groups.labels` and `Groups.counts`."""
    own = [labels_of(target) or (_NO_LABEL,) for target in set(targets)]
    names = sorted({label for labels in own for label in labels})
    number = {label: place for place, label in enumerate(names)}
    of_target = {target: _numbers(target, number) for target in set(targets)}
    num_labels = np.fromiter((len(of_target[one]) for one in targets), np.int64, len(targets))
    labels = np.fromiter(
        (label for one in targets for label in of_target[one]), np.int64, int(num_labels.sum())
    )
    pairs, counts = np.unique(
        np.repeat(group_of, num_labels) * len(names) + labels, return_counts=True
    )
    groups, labels = np.divmod(pairs, max(len(names), 1))
    starts = np.searchsorted(groups, np.arange(num_groups + 1))
    return starts, labels, counts


def _numbers(target: Target, number: dict[str, int]) -> tuple[int, ...]:
    return tuple(number[label] for label in labels_of(target) or (_NO_LABEL,))
