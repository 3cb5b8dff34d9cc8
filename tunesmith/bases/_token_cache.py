"""Token ids of large data on the disk, made once and mapped into memory by every later run.

Token ids say what the texts say: whoever has the tokenizer can read them. So the folder is open to
its owner alone, and what is small enough to be made again in a moment is not written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases._encode import in_chunks
from tunesmith.errors import OutputError
from tunesmith.storage import is_private, make_private, new_folder, user_cache
from tunesmith.types import Inputs

__all__ = ["CacheEntry", "TokenCache", "cache_key"]

_FORMAT = "tunesmith tokens 1"
_HEADER = "entry.json"
_ABANDONED_S = 86_400.0
_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What one call of `tokenize` left on the disk; `used_s` is when it last served, in Unix time.

    The name is a digest: it says nothing of the texts to who does not have them.
    """

    name: str
    size_bytes: int
    used_s: float


@dataclass(frozen=True, slots=True)
class TokenCache:
    """A folder of token ids, each entry whole or absent; safe to share between processes.

    A cache is a convenience: where its folder cannot be used, nothing is found and nothing kept.

    Attributes:
        folder: where the entries lie; it is made, open to its owner alone, when there is one.
        limit_bytes: the most that all entries may take; those longest unused make room.
        fewest_rows: data of fewer rows is left out: it is sooner made than it would be missed.
    """

    folder: Path
    limit_bytes: int = 5_000_000_000
    fewest_rows: int = 20_000

    @classmethod
    def of_user(cls) -> TokenCache:
        """The cache in `$TUNESMITH_CACHE`, else where the system keeps a user's caches."""
        return cls(user_cache("tokens"))

    def find(self, key: str) -> _Arrays | None:
        """The arrays under `key`, mapped and not read; None where there are none, or damaged ones.

        What is damaged is removed.
        """
        entry = self.folder / key
        if not entry.is_dir() or not is_private(self.folder):
            return None
        arrays = _mapped(entry)
        if arrays is None:
            shutil.rmtree(entry, ignore_errors=True)
            return None
        with suppress(OSError):
            os.utime(entry / _HEADER)
        return arrays

    def add(self, key: str, pieces: Iterable[Mapping[str, NDArray[Any]]]) -> _Arrays | None:
        """Writes pieces one behind the other and maps what they make; None where that fails.

        Args:
            key: a `cache_key`.
            pieces: arrays of one dimension, those of a name all of one type of integer.
        """
        with suppress(OutputError, OSError):  # also where another process was sooner
            make_private(self.folder)
            with new_folder(self.folder / key, mode=0o700) as temporary:
                _write(temporary, pieces)
            self._make_room(key)
        return self.find(key)

    def entries(self) -> list[CacheEntry]:
        """All entries, the one longest unused first."""
        found: list[CacheEntry] = []
        for entry in self._folders():
            with suppress(OSError):  # another process has just removed it
                size_bytes = sum(file.stat().st_size for file in entry.iterdir())
                used_s = (entry / _HEADER).stat().st_mtime
                found.append(CacheEntry(entry.name, size_bytes, used_s))
        return sorted(found, key=lambda entry: entry.used_s)

    def clear(self) -> int:
        """Removes all entries; returns how many bytes they took."""
        freed = sum(entry.size_bytes for entry in self.entries())
        for entry in self._folders():
            shutil.rmtree(entry, ignore_errors=True)
        return freed

    def _folders(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from (child for child in self.folder.iterdir() if _is_key(child.name))

    def _make_room(self, newest: str) -> None:
        """Removes the oldest entries past the limit, and what killed processes left behind."""
        entries = self.entries()
        excess = sum(entry.size_bytes for entry in entries) - self.limit_bytes
        for entry in entries:
            if excess > 0 and entry.name != newest:
                shutil.rmtree(self.folder / entry.name, ignore_errors=True)
                excess -= entry.size_bytes
        for child in self.folder.glob(".*"):
            with suppress(OSError):
                if _is_key(child.name[1:65]) and time.time() - child.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(child, ignore_errors=True)


def cache_key(tokenizer: Any, inputs: Sequence[Inputs], max_length: int) -> str:
    """The SHA-256, in hexadecimal, of all that decides what `tokenize` makes of texts."""
    digest = hashlib.sha256(f"{_FORMAT}\n{max_length}\n{len(inputs)}\n".encode())
    digest.update(_tokenizer_digest(tokenizer))
    for chunk in in_chunks(inputs):
        for column in zip(*chunk, strict=True):
            # With the lengths before them, no two lists of texts give the same bytes.
            digest.update(np.fromiter(map(len, column), "<i8", len(column)).tobytes())
            digest.update("".join(map(str, column)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _tokenizer_digest(tokenizer: Any) -> bytes:
    """Of the files that the tokenizer is saved as, and of the libraries that read them."""
    if tokenizer.is_fast:
        # Whatever the last call has cut and filled up would be saved too.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    digest = hashlib.sha256(f"{version('tokenizers')} {version('transformers')}".encode())
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                digest.update(f"\n{file.name} {file.stat().st_size}\n".encode())
                digest.update(file.read_bytes())
    return digest.digest()


def _write(folder: Path, pieces: Iterable[Mapping[str, NDArray[Any]]]) -> None:
    """One file of bare values for each name, and a header that says what they are."""
    written: dict[str, _Values] = {}
    with ExitStack() as stack:
        for piece in pieces:
            for name, array in piece.items():
                if name not in written:
                    file = stack.enter_context((folder / name).open("xb"))
                    written[name] = _Values(file, array.dtype)
                written[name].append(array)
        facts = {name: values.finish() for name, values in written.items()}
    header = json.dumps({"format": _FORMAT, "arrays": facts})
    (folder / _HEADER).write_text(header, encoding="utf-8")


class _Values:
    """One array that grows in a file."""

    def __init__(self, file: BinaryIO, kind: np.dtype[Any]) -> None:
        self._file = file
        self._kind = kind
        self._size = 0
        self._digest = hashlib.sha256()

    def append(self, array: NDArray[Any]) -> None:
        values = np.ascontiguousarray(array, dtype=self._kind).data
        self._file.write(values)
        self._digest.update(values)
        self._size += array.size

    def finish(self) -> dict[str, Any]:
        """Sees to it that the file outlasts a power cut; what `_mapped` must know of it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"dtype": self._kind.str, "size": self._size, "sha256": self._digest.hexdigest()}


def _mapped(folder: Path) -> _Arrays | None:
    """The arrays of an entry; None where a file is missing, cut short or not what was written."""
    arrays: _Arrays = {}
    try:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        if header["format"] != _FORMAT:
            return None
        for name, facts in header["arrays"].items():
            kind, size = np.dtype(facts["dtype"]), int(facts["size"])
            with (folder / Path(name).name).open("rb") as file:
                # Reading it takes a hundredth of the time of making it.
                if kind.kind != "i" or file_digest(file, "sha256").hexdigest() != facts["sha256"]:
                    return None
                mapped = np.memmap(file, dtype=kind, mode="r", shape=(size,))
            arrays[name] = np.asarray(mapped)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return arrays


def _is_key(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
