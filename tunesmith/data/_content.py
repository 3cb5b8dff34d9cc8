"""What rows hold, whatever their order and their file: duplicates and fingerprints."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._build import labels_of
from tunesmith.types import Dataset, Inputs, Target, Value

__all__ = [
    "digest_array",
    "fingerprint",
    "normal_text",
    "overlap",
    "row_digests",
    "row_keys",
    "target_bytes",
]

_DIGEST_BYTES = hashlib.sha256().digest_size


def row_keys(dataset: Dataset) -> Iterator[bytes]:
    """One key a row; rows with equal keys are duplicates.

    Texts are compared after Unicode NFC, case folding and with each run of white space as one
    space; other values byte by byte. Targets do not count.
    """
    if len(dataset.columns) == 1:
        return (_normal(value) for value in dataset.columns[0])
    return (_joined([_normal(value) for value in inputs]) for inputs in dataset.inputs)


def digest_array(digests: Iterable[bytes], size_bytes: int, count: int) -> NDArray[np.bytes_]:
    """`count` digests of `size_bytes` each in one array, which numpy sorts and compares as bytes.

    What is read of it one by one lacks its zeros at the end.
    """
    return np.fromiter(digests, dtype=f"S{size_bytes}", count=count)


def overlap(a: Dataset, b: Dataset) -> list[tuple[int, int]]:
    """Rows of `b` whose inputs also stand in `a` (see `row_keys` for when they are equal).

    Returns:
        One pair for each such row of `b`, in its order: the first such row of `a`, the row of `b`.
        Rows are numbered as in their files.
    """
    # Mostly b is the smaller one, so only its keys are kept.
    keys = list(row_keys(b))
    wanted = set(keys)
    first: dict[bytes, int] = {}
    for place, key in enumerate(row_keys(a)):
        if key in wanted:
            first.setdefault(key, int(a.rows[place]))
    return [
        (first[key], row) for key, row in zip(keys, b.rows.tolist(), strict=True) if key in first
    ]


def fingerprint(dataset: Dataset, *, ordered: bool = False) -> str:
    """The SHA-256 of what the dataset holds, 64 hexadecimal digits.

    It does not depend on column names or on the file's format; equal rows count as often as they
    occur.

    Args:
        ordered: whether it depends on the order of the rows.
    """
    targets = [None] * len(dataset) if dataset.targets is None else dataset.targets
    digests = digest_array(row_digests(dataset.inputs, targets), _DIGEST_BYTES, len(dataset))
    if not ordered:
        digests.sort()
    whole = hashlib.sha256(b"tunesmith dataset 1\n")
    whole.update(digests.data)
    return whole.hexdigest()


def row_digests(rows: Iterable[Inputs], targets: Sequence[Target | None]) -> Iterator[bytes]:
    """The SHA-256 of each row's inputs and target, 32 bytes; equal rows have equal ones."""
    endings = {target: target_bytes(target) for target in set(targets)}
    for inputs, target in zip(rows, targets, strict=True):
        yield _digest(inputs, endings[target])


def _digest(inputs: Inputs, ending: bytes) -> bytes:
    return hashlib.sha256(_joined([_exact(value) for value in inputs]) + ending).digest()


def target_bytes(target: Target | None) -> bytes:
    """What a target adds to its row."""
    if target is None:
        return b""
    kind = b"label" if isinstance(target, str) else b"labels"
    labels = [label.encode("utf-8", "surrogatepass") for label in labels_of(target)]
    return _joined([kind, *labels])


def _joined(parts: Sequence[bytes]) -> bytes:
    """Parts in one, each with its length before it so that no two lists give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _exact(value: Value) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else value.tobytes()


def _normal(value: Value) -> bytes:
    return _exact(normal_text(value) if isinstance(value, str) else value)


def normal_text(text: str) -> str:
    """A text as it is compared with others: NFC, case folded, one space between words."""
    if not text.isascii():
        # Case folding may take a text out of NFC, hence the second time.
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(text.casefold().split())
