"""The rows of a dataset that belong together, as flat arrays: a million groups are 80 MB."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._build import labels_of
from tunesmith.data._content import digest_array, row_keys
from tunesmith.types import Dataset, Target

__all__ = ["Groups", "group_rows"]

_KEY_BYTES = 16
_ALL = 2.0**64  # how many hashes of eight bytes there are
_NO_LABEL = ""


@dataclass(frozen=True)
class Groups:
    """g groups of n rows; labels are numbers, in the order of their names.

    Attributes:
        rows: int64 [n], the rows' places in the dataset, group by group.
        sizes: int64 [g], rows of each group.
        positions: float64 [g], from 0 to below 1, rising; drawn by the seed and by what the group
            holds, so that a group has the same one in every dataset.
        starts: int64 [g + 1]; the labels of group i are at `starts[i]:starts[i + 1]` of the next.
        labels, counts: int64, the labels of each group, and how many of its rows have each.
    """

    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    positions: NDArray[np.float64]
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


def group_rows(
    dataset: Dataset,
    seed: int,
    *,
    owners: Sequence[bytes] | None = None,
    links: NDArray[np.int64] | None = None,
) -> Groups:
    """Groups rows of equal text (`row_keys`), in an order of what they hold and seed alone.

    Args:
        owners: of each row what it belongs to, such as its customer; rows of one owner, and rows
            of equal text, come into one group.
        links: int64 [pairs, 2], places of rows that belong together besides.
    """
    # A keyed hash rather than a generator: the order must not depend on that of the rows.
    salt = hashlib.sha256(str(seed).encode()).digest()
    texts, text_of = _hashed(row_keys(dataset), salt, len(dataset))
    if owners is None:
        hashes, unit_of, pairs = texts, text_of, [links]
    else:
        hashes, unit_of = _hashed(owners, salt, len(dataset))
        first = np.unique(text_of, return_index=True)[1]
        pairs = [links, np.stack([first[text_of], np.arange(len(dataset))], axis=1)]
    edges = [unit_of[own] for own in pairs if own is not None]
    group_of_unit, positions = _united(hashes, edges)
    group_of = group_of_unit[unit_of]
    rows = np.argsort(group_of, kind="stable")
    sizes = np.bincount(group_of, minlength=len(positions))
    targets = [()] * len(dataset) if dataset.targets is None else dataset.targets
    labels = _labels_by_group(targets, group_of, len(sizes))
    return Groups(rows, sizes, positions, *labels)


def _hashed(
    keys: Iterable[bytes], salt: bytes, count: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Two hashes of each different key, [keys, 2] in order, and of each row its key's place."""
    digests = digest_array(
        (hashlib.blake2b(key, digest_size=_KEY_BYTES, key=salt).digest() for key in keys),
        _KEY_BYTES,
        count,
    )
    different, place = np.unique(digests, return_inverse=True)
    hashes = np.frombuffer(different.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 2)
    return hashes, place


def _united(
    hashes: NDArray[np.uint64], edges: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each unit the number of its group, and of each group its position, rising.

    A group has the position of that unit which the second hash puts first. So it mostly stays where
    it was when one more unit joins it, and large groups stand anywhere; the smallest of all
    positions would be near 0 for every large group.
    """
    if not sum(map(len, edges)):
        return np.arange(len(hashes)), hashes[:, 0] / _ALL
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = np.concatenate(edges)
    size = (len(hashes), len(hashes))
    graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=size)
    _, component = connected_components(graph, directed=False)
    order = np.lexsort((hashes[:, 1], component))
    first = order[np.unique(component[order], return_index=True)[1]]
    ranked = np.argsort(hashes[first, 0], kind="stable")
    number = np.empty(len(first), dtype=np.int64)
    number[ranked] = np.arange(len(first))
    return number[component], hashes[first[ranked], 0] / _ALL


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
