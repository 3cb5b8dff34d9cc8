"""Arrow arrays that move to the disk where they are too many for the memory.

They lie in a temporary file without a name, which the system removes with the last who uses it, and
are mapped: they take address space, and the kernel drops their pages when it needs the memory.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa

from tunesmith.errors import OutputError

__all__ = ["ArrayStore", "forget_pages", "spilled_column", "writing_temporary_files"]

_BYTES_IN_MEMORY = 256 << 20
_ALIGNMENT = 64
"""Bytes; Arrow wants its buffers so, and copies nothing then."""
_mappings: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


@contextmanager
def writing_temporary_files() -> Iterator[None]:
    """What the operating system says against a temporary file, as an error for the user.

    Raises:
        OutputError: the disk is full, or the folder of temporary files cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"temporary files cannot be written: {error.strerror or error}",
            where=_folder(),
            mend="make room there, or set TMPDIR to a folder on a disk with more",
        ) from error


def _folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # there is none that can be written to
        return ""


class ArrayStore:
    """Arrays kept in the order in which they are added, in memory or, past a limit, on the disk."""

    def __init__(self) -> None:
        self._arrays: list[pa.Array | tuple[int, int]] = []  # of those on the disk: offset, size
        self._first_in_memory = 0
        self._num_bytes = 0
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return len(self._arrays)

    def add(self, array: pa.Array) -> None:
        """Keeps one more array.

        Raises:
            OutputError: the disk is full.
        """
        self._arrays.append(array)
        self._num_bytes += array.nbytes
        if self._file is not None or self._num_bytes > _BYTES_IN_MEMORY:
            self._write()

    def finish(self) -> list[pa.Array]:
        """All arrays, those on the disk mapped into memory. Nothing may be added afterwards."""
        if self._file is None:
            return [one for one in self._arrays if isinstance(one, pa.Array)]
        with self._file as file, writing_temporary_files():
            file.flush()
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _mappings.add(mapping)
        whole = pa.py_buffer(mapping)
        return [
            one if isinstance(one, pa.Array) else _opened(whole.slice(*one)) for one in self._arrays
        ]

    def close(self) -> None:
        """Gives the disk's room back, where `finish` was not reached."""
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        with writing_temporary_files():
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish or close
            for place in range(self._first_in_memory, len(self._arrays)):
                array = self._arrays[place]
                assert isinstance(array, pa.Array)
                start = self._file.tell()
                schema = pa.schema([("", array.type)])
                with pa.ipc.new_stream(self._file, schema) as stream:
                    stream.write_batch(pa.record_batch([array], schema=schema))
                end = self._file.tell()
                self._file.write(b"\0" * (-end % _ALIGNMENT))
                self._arrays[place] = (start, end - start)
        del array
        self._first_in_memory = len(self._arrays)
        self._num_bytes = 0
        pa.default_memory_pool().release_unused()


def _opened(buffer: pa.Buffer) -> pa.Array:
    return pa.ipc.open_stream(pa.BufferReader(buffer)).read_next_batch().column(0)


def forget_pages() -> None:
    """Tells the kernel that what was read of the arrays on the disk is not needed for now.

    Without it, all that was ever looked at counts as this process's memory until another process
    wants the room. What is read again comes from the kernel's cache, if it is still there.
    """
    if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        for mapping in _mappings:
            mapping.madvise(mmap.MADV_DONTNEED)


def spilled_column(arrays: Iterable[pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    """A column of arrays of one type, on the disk where it is long.

    Raises:
        OutputError: the disk is full.
    """
    store = ArrayStore()
    try:
        for array in arrays:
            store.add(array)
        return pa.chunked_array(store.finish(), kind)
    finally:
        store.close()
