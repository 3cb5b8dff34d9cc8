"""Text files that are too long to be held in memory: read line by line, as often as needed."""

from __future__ import annotations

import gzip
import io
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

from tunesmith.errors import DataError

__all__ = ["LongText", "open_long_text"]

_FEWEST_BYTES = 64 << 20
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class LongText:
    """A file of UTF-8, of which a line is in memory at a time; a mark at its beginning is left out.

    Attributes:
        path: the file.
        source: its name, for errors.
        is_compressed: whether gzip packed it.
        has_quotes: whether a double quote stands anywhere in it.
    """

    path: Path
    source: str
    is_compressed: bool
    has_quotes: bool

    def start(self, num_characters: int) -> str:
        """The first characters of the file; all where it has fewer."""
        with self._opened("") as file:
            return file.read(num_characters)

    def whole(self) -> str:
        """All of it, in memory after all."""
        with self._opened("") as file:
            return file.read()

    def lines(self, newline: Literal["", "\n"] = "") -> Iterator[str]:
        """The lines with their ends, as `io.StringIO(text, newline)` gives them.

        Raises:
            DataError: the file is no longer what it was when it was opened.
        """
        with self._opened(newline) as file:
            yield from file

    @contextmanager
    def _opened(self, newline: str) -> Iterator[TextIO]:
        try:
            with (
                _open(self.path, is_compressed=self.is_compressed) as binary,
                io.TextIOWrapper(binary, "utf-8-sig", newline=newline) as text,
            ):
                yield text
        except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                "the file was changed while it was read",
                where=self.source,
                mend="try again when nobody writes to it",
            ) from error


def open_long_text(path: Path, source: str, *, is_compressed: bool) -> LongText | None:
    """The file, read through once; None where it is short, or anything but plain UTF-8.

    Those are read at once: what is wrong with a file, or which other encoding it is in, can only be
    told from all of it.
    """
    if not path.is_file() or (not is_compressed and path.stat().st_size < _FEWEST_BYTES):
        return None  # a pipe can be read but once
    num_bytes, has_quotes, is_blank = 0, False, True
    decoder = getincrementaldecoder("utf-8-sig")()
    try:
        with _open(path, is_compressed=is_compressed) as file:
            while piece := file.read(_BYTES_AT_ONCE):
                if b"\0" in piece:
                    return None
                text = decoder.decode(piece)
                is_blank = is_blank and (not text or text.isspace())
                has_quotes = has_quotes or b'"' in piece
                num_bytes += len(piece)
        decoder.decode(b"", final=True)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error):
        return None
    if num_bytes < _FEWEST_BYTES or is_blank:
        return None
    return LongText(path, source, is_compressed, has_quotes)


def _open(path: Path, *, is_compressed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if is_compressed else path.open("rb")
