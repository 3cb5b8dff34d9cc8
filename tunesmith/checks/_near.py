"""Texts that are nearly the same, found without comparing each with each.

Two texts are near when they say the same but for case and punctuation; when they are one word
apart (a word changed, added, left out or moved) and have five words or more; or when two long ones
share most of their runs of three words. The first two are found exactly, by hashes of a text with
each of its words left out in turn; the third by MinHash (Broder 1997, "On the resemblance and
containment of documents") with bands (Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets",
chapter 3), and then measured. All hashes of a text follow from those of its words with a few
operations of numpy, so that a million rows take seconds.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["UNSPACED", "connected", "near_pairs"]

_FEWEST_WORDS = 5
_MOST_WORDS = 128  # beyond, a word left out is not looked for: MinHash finds such texts
_LONG_WORDS = 20
_SHINGLE = 3
_NUM_BANDS, _BAND = 16, 4
_RESEMBLANCE = 0.7
_KEYS_IN_MEMORY = 4_000_000
_PART_BITS = 6

_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
_NOT_A_WORD = r"[^\p{L}\p{N}\p{M}]+"
# Scripts without spaces between words: each of their characters is a word here.
UNSPACED = r"([\x{0e00}-\x{0eff}\x{1000}-\x{109f}\x{3040}-\x{30ff}\x{3400}-\x{9fff}])"


def near_pairs(pieces: Iterator[tuple[int, pa.Array]]) -> NDArray[np.int64]:
    """Pairs of texts that are near one another; of many alike not all, but what links them.

    Args:
        pieces: the texts, some thousand at a time, each with the first one's place.

    Returns:
        int64 [pairs, 2], places with the smaller one first, sorted.
    """
    with _Buckets() as buckets:
        for start, piece in pieces:
            _add_keys(buckets, start, piece)
        found = [np.zeros((0, 2), dtype=np.int64), *buckets.pairs()]
    return np.unique(np.concatenate(found), axis=0)


def connected(pairs: NDArray[np.int64]) -> list[list[int]]:
    """Groups of places that pairs link, each sorted, the group with the smallest place first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    places, numbered = np.unique(pairs, return_inverse=True)
    if not len(places):
        return []
    links = numbered.reshape(pairs.shape)
    ones = np.ones(len(links), dtype=np.int8)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(len(places), len(places)))
    _, component = connected_components(graph, directed=False)
    order = np.argsort(component, kind="stable")
    cuts = np.flatnonzero(np.diff(component[order])) + 1
    return sorted(group.tolist() for group in np.split(places[order], cuts))


def _words(piece: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A hash of each word, and where each text's words begin; [words], [texts + 1]."""
    texts = pc.utf8_lower(pc.fill_null(piece.cast(pa.large_string()), ""))
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        texts = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKC"), UNSPACED, r" \1 ")
    texts = pc.utf8_trim(pc.replace_substring_regex(texts, _NOT_A_WORD, " "), " ")
    lists = pc.split_pattern(texts, " ")
    coded = lists.flatten().dictionary_encode()
    hashes = np.fromiter(
        (_hash(word) for word in coded.dictionary.to_pylist()), np.uint64, len(coded.dictionary)
    )
    starts = np.asarray(lists.offsets, dtype=np.int64)
    return hashes[np.asarray(coded.indices)], starts - starts[0]


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")


def _add_keys(buckets: _Buckets, start: int, piece: pa.Array) -> None:
    words, starts = _words(piece)
    counts = np.diff(starts)
    text_of_word = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(words)) - starts[text_of_word]
    powers = _powers(_BASE, int(counts.max(initial=1)) + 1)
    terms = words * powers[place]
    before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    whole = before[starts[1:]] - before[starts[:-1]]
    buckets.add(_mixed(whole), start + np.arange(len(counts)))
    # The hash without word i: what stands before it, and what stands after it, one place lower.
    fits = (counts >= _FEWEST_WORDS) & (counts <= _MOST_WORDS)
    chosen = np.flatnonzero(fits[text_of_word])
    own = text_of_word[chosen]
    left = before[chosen] - before[starts[own]]
    right = before[starts[own + 1]] - before[chosen + 1]
    buckets.add(_mixed(left + right * _INVERSE), start + own)
    _add_bands(buckets, start, words, starts, counts)


def _add_bands(
    buckets: _Buckets,
    start: int,
    words: NDArray[np.uint64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    long = np.flatnonzero(counts >= _LONG_WORDS)
    if not len(long):
        return
    shingles, begins = _shingles(words, starts, counts, long)
    buckets.keep_shingles(start + long, shingles, begins)
    generator = np.random.default_rng(0)
    for band in range(_NUM_BANDS):
        key = np.full(len(long), band + 1, dtype=np.uint64)
        for _ in range(_BAND):
            factor, shift = generator.integers(1, 2**63, size=2, dtype=np.uint64)
            mixed = _mixed(shingles * (factor | np.uint64(1)) + shift)
            key = _mixed(key * _BASE + np.minimum.reduceat(mixed, begins[:-1]))
        buckets.add(key, start + long, measured=True)


def _shingles(
    words: NDArray[np.uint64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    texts: NDArray[np.int64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the runs of three words of some texts, and where each text's begin."""
    numbers = counts[texts] - _SHINGLE + 1
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(numbers)])
    first = np.repeat(starts[texts] - begins[:-1], numbers) + np.arange(begins[-1])
    powers = _powers(_BASE, _SHINGLE)
    joined = np.zeros(len(first), dtype=np.uint64)
    for step in range(_SHINGLE):
        joined += words[first + step] * powers[step]
    return _mixed(joined), begins


def _powers(base: np.uint64, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base, dtype=np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of a hash made to depend on all of them (Stafford's mix, as in splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)), dtype=np.uint64)


class _Buckets(AbstractContextManager["_Buckets"]):
    """Keys with the texts that have them; past some millions they lie on the disk, in parts."""

    def __init__(self) -> None:
        self._waiting: dict[bool, list[NDArray[np.uint64]]] = {False: [], True: []}
        self._num_waiting = 0
        self._shingles: list[tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]] = []
        self._stack = ExitStack()
        self._folder: Path | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(
        self, keys: NDArray[np.uint64], places: NDArray[np.int64], *, measured: bool = False
    ) -> None:
        """Adds a key a place; `measured` keys give pairs that are only likely to be near."""
        self._waiting[measured].append(np.stack([keys, places.astype(np.uint64)], axis=1))
        self._num_waiting += len(keys)
        if self._num_waiting > _KEYS_IN_MEMORY:
            self._write()

    def keep_shingles(
        self, places: NDArray[np.int64], shingles: NDArray[np.uint64], begins: NDArray[np.int64]
    ) -> None:
        """Keeps what pairs of long texts are measured by, four bytes a shingle."""
        self._shingles.append((places, (shingles >> np.uint64(32)).astype(np.uint32), begins))

    def pairs(self) -> Iterator[NDArray[np.int64]]:
        """The pairs that share a key: each text with the one before it in its bucket."""
        if self._folder is not None:
            self._write()
        for measured in (False, True):
            for part in self._parts(measured):
                order = np.lexsort((part[:, 1], part[:, 0]))
                keys, places = part[order, 0], part[order, 1].astype(np.int64)
                alike = np.flatnonzero((keys[1:] == keys[:-1]) & (places[1:] != places[:-1]))
                pairs = np.unique(np.stack([places[alike], places[alike + 1]], axis=1), axis=0)
                yield self._resembling(pairs) if measured else pairs

    def _parts(self, measured: bool) -> Iterator[NDArray[np.uint64]]:
        if self._folder is None:
            yield np.concatenate([np.zeros((0, 2), np.uint64), *self._waiting[measured]])
            return
        for file in sorted(self._folder.glob(f"{int(measured)}-*")):
            yield np.fromfile(file, dtype=np.uint64).reshape(-1, 2)

    def _write(self) -> None:
        """Moves what waits to the disk, a file for each part of the keys."""
        if self._folder is None:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        for measured, waiting in self._waiting.items():
            for block in waiting:
                part = (block[:, 0] >> np.uint64(64 - _PART_BITS)).astype(np.int64)
                for number in range(2**_PART_BITS):
                    with (self._folder / f"{int(measured)}-{number:02}").open("ab") as file:
                        block[part == number].tofile(file)
            waiting.clear()
        self._num_waiting = 0

    def _resembling(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those pairs whose shared shingles are the greater part of all that either has."""
        kept = [
            pair
            for pair in pairs.tolist()
            if _resemblance(self._shingles_of(pair[0]), self._shingles_of(pair[1])) >= _RESEMBLANCE
        ]
        return np.array(kept, dtype=np.int64).reshape(-1, 2)

    def _shingles_of(self, place: int) -> NDArray[np.uint32]:
        for places, shingles, begins in self._shingles:
            if places[0] <= place <= places[-1]:
                at = int(np.searchsorted(places, place))
                own: NDArray[np.uint32] = shingles[begins[at] : begins[at + 1]]
                return own
        raise AssertionError(f"no shingles of text {place}")


def _resemblance(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
    """Jaccard's coefficient: what two sets share, of all that either has."""
    shared = len(np.intersect1d(a, b))
    return shared / max(len(np.union1d(a, b)), 1)
