"""What changed from one version of the data to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._content import digest_array, row_keys, target_bytes
from tunesmith.types import Dataset

__all__ = ["Changes", "compare"]

_KEY_BYTES = 16


@dataclass(frozen=True)
class Changes:
    """How a dataset differs from an earlier one; rows are numbered as in their files.

    Attributes:
        added: int64, rows whose text the earlier one does not have.
        removed: int64, rows of the earlier one whose text is gone.
        relabelled: int64 [n, 2], the earlier row and the row, of texts that have another label now.
        num_same: the rows that are as they were.
    """

    added: NDArray[np.int64]
    removed: NDArray[np.int64]
    relabelled: NDArray[np.int64]
    num_same: int

    def __bool__(self) -> bool:
        """Whether there is any change."""
        return bool(len(self.added) or len(self.removed) or len(self.relabelled))

    def counts(self) -> dict[str, int]:
        return {
            "same": self.num_same,
            "added": len(self.added),
            "removed": len(self.removed),
            "relabelled": len(self.relabelled),
        }

    def sentence(self) -> str:
        """ "120 rows added, 3 removed, 14 relabelled; 9,880 are as they were"."""
        if not self:
            return f"all {self.num_same:,} rows are as they were"
        return (
            f"{len(self.added):,} rows added, {len(self.removed):,} removed, "
            f"{len(self.relabelled):,} relabelled; {self.num_same:,} are as they were"
        )


def compare(before: Dataset, after: Dataset) -> Changes:
    """What changed; texts are the same where `row_keys` are, whatever the order of the rows.

    A text that stands several times counts as relabelled where none of its earlier rows has the
    label.
    """
    old, old_labelled = _digests(before)
    new, new_labelled = _digests(after)
    known = np.isin(new, old)
    same = np.isin(new_labelled, old_labelled)
    changed = np.flatnonzero(known & ~same)
    order = np.argsort(old, kind="stable")
    first = order[np.searchsorted(old[order], new[changed])]
    return Changes(
        added=after.rows[~known],
        removed=before.rows[~np.isin(old, new)],
        relabelled=np.stack([before.rows[first], after.rows[changed]], axis=1),
        num_same=int(same.sum()),
    )


def _digests(dataset: Dataset) -> tuple[NDArray[np.bytes_], NDArray[np.bytes_]]:
    """Of each row a digest of its text, and one of its text and labels."""

    def both() -> Iterator[tuple[bytes, bytes]]:
        targets = [None] * len(dataset) if dataset.targets is None else dataset.targets
        for key, target in zip(row_keys(dataset), targets, strict=True):
            text = hashlib.blake2b(key, digest_size=_KEY_BYTES).digest()
            ending = target_bytes(target)
            yield text, hashlib.blake2b(text + ending, digest_size=_KEY_BYTES).digest()

    joined = digest_array((a + b for a, b in both()), 2 * _KEY_BYTES, len(dataset))
    halves = np.frombuffer(joined.tobytes(), dtype=f"S{_KEY_BYTES}").reshape(-1, 2)
    return halves[:, 0].copy(), halves[:, 1].copy()
