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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._repeats import Made, flat_groups, grouped, repeated
from tunesmith.data import writing_temporary_files

__all__ = ["UNSPACED", "connected", "connected_places", "near_pairs"]

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
_AS_WORDS = np.array(
    [ord(chr(n).lower()) if n < 128 and chr(n).isalnum() else ord(" ") for n in range(256)],
    dtype=np.uint8,
)
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
        found = [np.zeros(0, dtype=np.uint64), *map(_packed, buckets.pairs())]
    return _unpacked(np.unique(np.concatenate(found)))


def _packed(pairs: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number a pair, so that pairs are sorted as fast as numbers are; places are below 2^32."""
    first, second = pairs.astype(np.uint64).T
    return np.asarray((first << np.uint64(32)) | second)


def _unpacked(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    low = numbers & np.uint64(2**32 - 1)
    return np.stack([numbers >> np.uint64(32), low], axis=1).astype(np.int64)


def connected(pairs: NDArray[np.int64]) -> Made[list[int]]:
    """Groups of places that pairs link, each sorted, the group with the smallest place first."""
    return grouped(*connected_places(pairs))


def connected_places(pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same groups, flat: their places one after the other, and where each group starts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    places, numbered = np.unique(pairs, return_inverse=True)
    if not len(places):
        return places.astype(np.int64), np.zeros(1, dtype=np.int64)
    links = numbered.reshape(pairs.shape)
    ones = np.ones(len(links), dtype=np.int8)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(len(places), len(places)))
    _, component = connected_components(graph, directed=False)
    return flat_groups(places, component)


def _words(piece: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A hash of each word, and where each text's words begin; [words], [texts + 1]."""
    lists = pc.ascii_split_whitespace(pc.ascii_trim_whitespace(_bare_words(piece)))
    coded = lists.flatten().dictionary_encode()
    hashes = np.fromiter(
        (_hash(word) for word in coded.dictionary.to_pylist()), np.uint64, len(coded.dictionary)
    )
    starts = np.asarray(lists.offsets, dtype=np.int64)
    return hashes[np.asarray(coded.indices)], starts - starts[0]


def _bare_words(piece: pa.Array) -> pa.Array:
    """The texts in lower case, with spaces in place of all that is no letter, number or mark."""
    texts = pc.fill_null(piece.cast(pa.large_string()), "")
    is_ascii = np.asarray(pc.string_is_ascii(texts))
    if is_ascii.all():
        return _bare_ascii(texts)
    plain, other = np.flatnonzero(is_ascii), np.flatnonzero(~is_ascii)
    lowered = pc.utf8_normalize(pc.utf8_lower(texts.take(pa.array(other))), "NFKC")
    spaced = pc.replace_substring_regex(lowered, UNSPACED, r" \1 ")
    bare = pc.replace_substring_regex(spaced, _NOT_A_WORD, " ")
    both = pa.concat_arrays([_bare_ascii(texts.take(pa.array(plain))), bare])
    return both.take(pa.array(np.argsort(np.concatenate([plain, other]))))


def _bare_ascii(texts: pa.Array) -> pa.Array:
    """The same of texts in ASCII, byte by byte: a pattern takes ten times as long."""
    _, ends, block = texts.buffers()
    if not len(texts) or block is None:
        return texts
    offsets = np.frombuffer(ends, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    characters = np.frombuffer(block, dtype=np.uint8)[offsets[0] : offsets[-1]]
    whole = pa.py_buffer(_AS_WORDS[characters])
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets - offsets[0]), whole)


@lru_cache(maxsize=1 << 18)
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
        self._stack = ExitStack()
        self._exact = _Keys(self._stack)
        self._likely = _Keys(self._stack)
        self._shingles = _Shingles(self._stack)

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
        (self._likely if measured else self._exact).add(keys, places)

    def keep_shingles(
        self, places: NDArray[np.int64], shingles: NDArray[np.uint64], begins: NDArray[np.int64]
    ) -> None:
        """Keeps what pairs of long texts are measured by, four bytes a shingle."""
        self._shingles.add(places, (shingles >> np.uint64(32)).astype(np.uint32), begins)

    def pairs(self) -> Iterator[NDArray[np.int64]]:
        """The pairs that share a key: each text with the one before it in its bucket."""
        yield from self._exact.pairs()
        measure = self._shingles.measure()
        for pairs in self._likely.pairs():
            kept = [pair for pair in pairs.tolist() if measure(*pair) >= _RESEMBLANCE]
            yield np.array(kept, dtype=np.int64).reshape(-1, 2)


class _Keys:
    """Keys of texts, in memory until they are too many; then a part of them at a time."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._keys: list[NDArray[np.uint64]] = []
        self._places: list[NDArray[np.uint32]] = []
        self._num_waiting = 0
        self._files: list[tuple[BinaryIO, BinaryIO]] = []

    def add(self, keys: NDArray[np.uint64], places: NDArray[np.int64]) -> None:
        self._keys.append(keys)
        self._places.append(places.astype(np.uint32))
        self._num_waiting += len(keys)
        if self._num_waiting > _KEYS_IN_MEMORY:
            self._write()

    def pairs(self) -> Iterator[NDArray[np.int64]]:
        """Pairs of places with the same key, the smaller one first; none twice within a part."""
        if self._files:
            self._write()
        for keys, places in self._parts():
            found = repeated(keys)
            own, near = keys[found], places[found].astype(np.int64)
            order = np.lexsort((near, own))
            own, near = own[order], near[order]
            alike = np.flatnonzero((own[1:] == own[:-1]) & (near[1:] != near[:-1]))
            pairs = np.stack([near[alike], near[alike + 1]], axis=1)
            yield _unpacked(np.unique(_packed(pairs)))

    def _parts(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint32]]]:
        if not self._files:
            yield (
                np.concatenate([np.zeros(0, np.uint64), *self._keys]),
                np.concatenate([np.zeros(0, np.uint32), *self._places]),
            )
        for keys, places in self._files:
            yield _whole(keys, np.dtype(np.uint64)), _whole(places, np.dtype(np.uint32))

    def _write(self) -> None:
        """Moves what waits to the disk, two files for each part of the keys."""
        keys = np.concatenate([np.zeros(0, np.uint64), *self._keys])
        places = np.concatenate([np.zeros(0, np.uint32), *self._places])
        self._keys, self._places, self._num_waiting = [], [], 0
        part = (keys >> np.uint64(64 - _PART_BITS)).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        keys, places = keys[order], places[order]
        ends = np.searchsorted(part[order], np.arange(2**_PART_BITS + 1))
        with writing_temporary_files():
            if not self._files:
                self._files = [
                    (_temporary(self._stack), _temporary(self._stack)) for _ in range(2**_PART_BITS)
                ]
            for number, files in enumerate(self._files):
                own = slice(ends[number], ends[number + 1])
                for file, values in zip(files, (keys, places), strict=True):
                    file.write(values[own].data)


class _Shingles:
    """The runs of words of long texts, in memory until they are too many."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._places: list[NDArray[np.uint32]] = []
        self._sizes: list[NDArray[np.int64]] = []
        self._blocks: list[NDArray[np.uint32]] = []
        self._num_waiting = 0
        self._file: BinaryIO | None = None

    def add(
        self, places: NDArray[np.int64], shingles: NDArray[np.uint32], begins: NDArray[np.int64]
    ) -> None:
        self._places.append(places.astype(np.uint32))
        self._sizes.append(np.diff(begins))
        self._blocks.append(shingles)
        self._num_waiting += len(shingles)
        if self._num_waiting > _KEYS_IN_MEMORY:
            self._write()

    def measure(self) -> Callable[[int, int], float]:
        """How much two long texts resemble one another, by their places."""
        if self._file is not None:
            self._write()
            block: NDArray[np.uint32] = np.memmap(self._file, dtype=np.uint32, mode="r")
        else:
            block = np.concatenate([np.zeros(0, np.uint32), *self._blocks])
        places = np.concatenate([np.zeros(0, np.uint32), *self._places])
        sizes = np.concatenate([np.zeros(1, np.int64), *self._sizes])
        begins = np.cumsum(sizes)

        def of(place: int) -> NDArray[np.uint32]:
            at = int(np.searchsorted(places, np.uint32(place)))
            own: NDArray[np.uint32] = block[begins[at] : begins[at + 1]]
            return own

        return lambda a, b: _resemblance(of(a), of(b))

    def _write(self) -> None:
        with writing_temporary_files():
            if self._file is None:
                self._file = _temporary(self._stack)
            for block in self._blocks:
                self._file.write(block.data)
            self._file.flush()
        self._blocks, self._num_waiting = [], 0


def _temporary(stack: ExitStack) -> BinaryIO:
    """A file without a name, which is gone when the stack is closed."""
    return stack.enter_context(tempfile.TemporaryFile())


def _whole(file: BinaryIO, kind: np.dtype[Any]) -> NDArray[Any]:
    file.seek(0)
    return np.frombuffer(file.read(), dtype=kind)


def _resemblance(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
    """Jaccard's coefficient: what two sets share, of all that either has."""
    shared = len(np.intersect1d(a, b))
    return shared / max(len(np.union1d(a, b)), 1)
