"""What rows hold, whatever their order and their file: duplicates and fingerprints."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

from tunesmith.data._build import labels_of
from tunesmith.types import Dataset, Inputs, Value

__all__ = ["fingerprint", "overlap", "row_keys"]


def row_keys(dataset: Dataset) -> list[bytes]:
    """One key a row; rows with equal keys are duplicates.

    Texts are compared after Unicode NFC, case folding and with each run of white space as one
    space; other values byte by byte. Targets do not count.
    """
    if len(dataset.columns) == 1:
        return [_normal(value) for value in dataset.columns[0]]
    return [_joined([_normal(value) for value in inputs]) for inputs in dataset.inputs]


def overlap(a: Dataset, b: Dataset) -> list[tuple[int, int]]:
    """Rows of `b` whose inputs also stand in `a` (see `row_keys` for when they are equal).

    Returns:
        One pair for each such row of `b`, in its order: the first such row of `a`, the row of `b`.
        Rows are numbered as in their files.
    """
    first: dict[bytes, int] = {}
    for key, row in zip(row_keys(a), a.rows.tolist(), strict=True):
        first.setdefault(key, row)
    pairs = zip(row_keys(b), b.rows.tolist(), strict=True)
    return [(first[key], row) for key, row in pairs if key in first]


def fingerprint(dataset: Dataset) -> str:
    """The SHA-256 of what the dataset holds, 64 hexadecimal digits.

    It does not depend on the order of the rows, on column names or on the file's format; equal
    rows count as often as they occur.
    """
    digests = sorted(
        _digest(dataset[place].inputs, dataset, place) for place in range(len(dataset))
    )
    return hashlib.sha256(b"tunesmith dataset 1\n" + b"".join(digests)).hexdigest()


def _digest(inputs: Inputs, dataset: Dataset, place: int) -> bytes:
    parts = [_exact(value) for value in inputs]
    if dataset.targets is not None:
        target = dataset.targets[place]
        parts.append(b"label" if isinstance(target, str) else b"labels")
        parts += [label.encode("utf-8", "surrogatepass") for label in labels_of(target)]
    return hashlib.sha256(_joined(parts)).digest()


def _joined(parts: Sequence[bytes]) -> bytes:
    """Parts in one, each with its length before it so that no two lists give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _exact(value: Value) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else value.tobytes()


def _normal(value: Value) -> bytes:
    if not isinstance(value, str):
        return _exact(value)
    if not value.isascii():
        # Case folding may take a text out of NFC, hence the second time.
        value = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).casefold())
    return _exact(" ".join(value.casefold().split()))
