"""Answers that are kept, so that the same input is not asked of the model twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Inputs

__all__ = ["KeptScores", "ResultCache"]

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeptScores:
    """What the model gave for one input.

    Attributes:
        scores: its raw scores, float32 [labels].
        num_tokens: the input's tokens before anything is cut.
    """

    scores: NDArray[np.float32]
    num_tokens: int


class ResultCache:
    """Scores by a digest of what was asked, and of which version: no text is kept.

    It holds so many entries, and forgets the one that was asked for longest ago. What a request
    wants done with the scores (labels, thresholds, top-k) is done anew each time. It is used on one
    event loop, so it has no lock; one may serve several models.
    """

    def __init__(self, max_entries: int) -> None:
        """Empty; an entry takes about 350 bytes, and 4 more for each label."""
        assert max_entries > 0
        self.max_entries = max_entries
        self._entries: OrderedDict[bytes, KeptScores] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @staticmethod
    def key(version: str, inputs: Inputs) -> bytes:
        """BLAKE2b of a version and an input: texts that differ anywhere have different keys."""
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for part in (version, *inputs):
            content = _bytes(part)
            # With its kind and length, so that no two lists of parts are the same bytes.
            digest.update(f"{type(part).__name__}:{len(content)}:".encode())
            digest.update(content)
        return digest.digest()

    def get(self, key: bytes) -> KeptScores | None:
        """What is kept under a key, which is then the newest."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, kept: KeptScores) -> None:
        """Keeps scores, a copy of their own: a row would hold on to its whole batch."""
        self._entries[key] = KeptScores(kept.scores.copy(), kept.num_tokens)
        self._entries.move_to_end(key)
        while len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)


def _bytes(part: object) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    if isinstance(part, bytes):
        return part
    array = np.asarray(part)
    return f"{array.dtype.str}{array.shape}:".encode() + array.tobytes()
