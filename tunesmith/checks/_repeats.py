"""What occurs more than once among millions, as flat arrays rather than Python objects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.checks._pieces import pieces_of
from tunesmith.data import normal_text

__all__ = ["Made", "differing", "equal_rows", "flat_groups", "grouped", "matching_rows", "repeated"]

_Item = TypeVar("_Item")
_DIGEST_BYTES = 16
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Made(Sequence[_Item], Generic[_Item]):
    """n values, each made when it is asked for; like a list of them, and equal to one."""

    __slots__ = ("_make", "_places")

    def __init__(self, count: int | range, make: Callable[[int], _Item]) -> None:
        self._places = range(count) if isinstance(count, int) else count
        self._make = make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> _Item: ...

    @overload
    def __getitem__(self, index: slice) -> Made[_Item]: ...

    def __getitem__(self, index: int | slice) -> _Item | Made[_Item]:
        if isinstance(index, slice):
            return Made(self._places[index], self._make)
        return self._make(self._places[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(own == one for own, one in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self):,} values>"


def grouped(flat: NDArray[np.int64], starts: NDArray[np.int64]) -> Made[list[int]]:
    """The groups `flat[starts[i]:starts[i + 1]]`, each as a list; int64 [n] and [groups + 1]."""
    return Made(len(starts) - 1, lambda i: [int(one) for one in flat[starts[i] : starts[i + 1]]])


def flat_groups(
    places: NDArray[np.int64], group: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted places group by group, the group with the smallest place first, and its starts.

    Args:
        places: int64 [n], sorted.
        group: [n], any number of the group that each is in.
    """
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    order = np.argsort(rank[group], kind="stable")
    starts = np.searchsorted(rank[group][order], np.arange(len(first) + 1))
    return places[order], starts


def differing(codes: NDArray[np.int32], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups of a flat array of codes that hold more than one code."""
    if not len(codes):
        return np.zeros(0, dtype=np.int64)
    lowest = np.minimum.reduceat(codes, starts[:-1])
    return np.flatnonzero(lowest != np.maximum.reduceat(codes, starts[:-1]))


def repeated(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Places of the keys that occur more than once; by key, and in their order within one."""
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    # Few keys are looked at closely: those whose last bits are the last bits of one of `twice`.
    mask = np.uint64((1 << max(len(twice), 1).bit_length() + 3) - 1)
    likely = np.zeros(int(mask) + 1, dtype=bool)
    likely[(twice & mask).astype(np.int64)] = True
    places = np.flatnonzero(likely[(keys & mask).astype(np.int64)])
    own = keys[places]
    at = np.searchsorted(twice, own)
    at[at == len(twice)] = 0
    is_twice = twice[at] == own if len(twice) else np.zeros(len(own), dtype=bool)
    places, own = places[is_twice], own[is_twice]
    return np.asarray(places[np.argsort(own, kind="stable")])


def equal_rows(
    columns: Sequence[pa.ChunkedArray], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups of two or more chosen rows whose texts are equal but for case and white space.

    Equal as in `tunesmith.data.overlap`. All texts are hashed to 64 bits, and those that share
    such a hash to 128.

    Args:
        columns: the text columns, n rows each.
        chosen: bool [n].

    Returns:
        int64, the rows' places, group by group, sorted within each, the group with the smallest
        place first; and int64 [groups + 1], where each group starts.
    """
    places = np.flatnonzero(chosen)
    places = np.sort(places[repeated(_hashes(columns)[places])])
    _, group, sizes = np.unique(_digests(columns, places), return_inverse=True, return_counts=True)
    kept = sizes[group] > 1
    places, group = places[kept], group[kept]
    return flat_groups(places, group)


def matching_rows(
    own: Sequence[pa.ChunkedArray],
    own_chosen: NDArray[np.bool_],
    others: Sequence[pa.ChunkedArray],
    others_chosen: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chosen rows of `others` whose texts stand in `own` too; equal as for `equal_rows`.

    Returns:
        int64 [matches] twice: the place of the first such row of `own`, and that of the other.
    """
    hashes, other_hashes = _hashes(own), _hashes(others)
    places = np.flatnonzero(own_chosen & np.isin(hashes, other_hashes[others_chosen]))
    other_places = np.flatnonzero(others_chosen & np.isin(other_hashes, hashes[places]))
    if not len(places):
        return places, places
    known, first = np.unique(_digests(own, places), return_index=True)
    digests = _digests(others, other_places)
    at = np.minimum(np.searchsorted(known, digests), len(known) - 1)
    is_known = known[at] == digests
    return places[first[at[is_known]]], other_places[is_known]


def _hashes(columns: Sequence[pa.ChunkedArray]) -> NDArray[np.uint64]:
    """A hash of each row's texts, of this process alone: Python's own, the quickest there is."""
    whole = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        for start, piece in pieces_of(column):
            hashes = (hash(normal_text(text or "")) for text in piece.to_pylist())
            own = np.fromiter(hashes, np.int64, len(piece)).view(np.uint64)
            part = slice(start, start + len(piece))
            whole[part] = whole[part] * _FACTOR + own
    return whole


def _digests(columns: Sequence[pa.ChunkedArray], places: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """A digest of the texts of some rows; `places` are sorted."""
    found = np.zeros((len(places), len(columns)), dtype=f"S{_DIGEST_BYTES}")
    for number, column in enumerate(columns):
        done = 0
        for start, piece in pieces_of(column):
            end = int(np.searchsorted(places, start + len(piece)))
            if end > done:
                texts = piece.take(pa.array(places[done:end] - start)).to_pylist()
                found[done:end, number] = [
                    _digest(normal_text(text or "").encode()) for text in texts
                ]
            done = end
    if len(columns) == 1:
        return found[:, 0]
    return np.fromiter((_digest(own.tobytes()) for own in found), found.dtype, len(found))


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST_BYTES).digest()
