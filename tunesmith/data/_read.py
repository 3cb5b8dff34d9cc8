"""From the name of a file, or a folder, to a table."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tunesmith.data._binary import read_parquet, read_workbook
from tunesmith.data._decode import decode
from tunesmith.data._delimited import parse_delimited, parse_lines
from tunesmith.data._folder import data_file, is_saved_dataset, read_saved_dataset
from tunesmith.data._json import parse_json, parse_json_lines
from tunesmith.data._long import LongText, open_long_text
from tunesmith.data._suggest import did_you_mean
from tunesmith.data._table import Table, empty_file
from tunesmith.errors import DataError

__all__ = ["read_table"]

_PARSERS: dict[str, Callable[[str, str], Table]] = {
    ".csv": parse_delimited,
    ".json": parse_json,
    ".jsonl": parse_json_lines,
    ".ndjson": parse_json_lines,
    ".tsv": partial(parse_delimited, preferred="\t"),
    ".txt": parse_lines,
}
_LONG: dict[str, Callable[[LongText, str], Table]] = {
    ".csv": parse_delimited,
    ".jsonl": parse_json_lines,
    ".ndjson": parse_json_lines,
    ".tsv": partial(parse_delimited, preferred="\t"),
    ".txt": parse_lines,
}
_READERS: dict[str, Callable[[Path, str], Table]] = {
    ".ods": read_workbook,
    ".parquet": read_parquet,
    ".xls": read_workbook,
    ".xlsm": read_workbook,
    ".xlsx": read_workbook,
}
_READ = (
    "csv, tsv, txt, jsonl (ndjson) and json, each also as .gz; parquet; xlsx (xls, xlsm, ods); "
    "a folder saved by datasets; - for standard input"
)


def read_table(source: str | Path) -> Table:
    """Reads a table whole; the file is never written to.

    Args:
        source: a file (the suffix says what it is), a folder that `datasets` saved, a folder with
            one data file, or "-" for CSV or JSON lines on standard input.

    Raises:
        DataError: there is no such file, or it cannot be read as what its suffix says.
    """
    if str(source) == "-":
        return _read_standard_input()
    name = str(source)
    path = Path(source).expanduser()
    with _readable(name):
        if not path.exists():
            raise _absent(path, name)
        if not path.is_dir():
            return _read_file(path, name)
        if is_saved_dataset(path):
            return read_saved_dataset(path, name)
        file = data_file(path, name, {*_PARSERS, *_READERS})
        table = _read_file(file, str(Path(name) / file.relative_to(path)))
        return replace(table, notes=(f"read {file.name}", *table.notes))


def _read_file(path: Path, source: str) -> Table:
    suffix = path.suffix.lower()
    compressed = suffix == ".gz"
    if compressed:
        suffix = Path(path.stem).suffix.lower()
    if suffix in _READERS and not compressed:
        if path.stat().st_size == 0:
            raise empty_file(source)
        return _READERS[suffix](path, source)
    if suffix not in _PARSERS:
        ending = "".join(path.suffixes[-2:]) if compressed else path.suffix
        what = f"cannot tell what {ending!r} is" if ending else "the name has no suffix"
        raise DataError(what, where=source, mend=f"what is read: {_READ}")
    if suffix in _LONG:
        long = open_long_text(path, source, is_compressed=compressed)
        if long is not None:
            return _LONG[suffix](long, source)
    data = _inflate(path, source) if compressed else path.read_bytes()
    return _parse(data, source, _PARSERS[suffix])


def _parse(data: bytes, source: str, parser: Callable[[str, str], Table]) -> Table:
    if not data or data.isspace():
        raise empty_file(source)
    text, note = decode(data, source)
    if not text or text.isspace():
        raise empty_file(source)
    table = parser(text, source)
    return replace(table, notes=(note, *table.notes)) if note else table


def _inflate(path: Path, source: str) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except EOFError as error:
        raise DataError(
            "the compressed file ends too early", where=source, mend="copy it again, whole"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"is not a gzip file, or is damaged: {error}",
            where=source,
            mend="if it is not compressed, take .gz off its name",
        ) from error


def _read_standard_input() -> Table:
    source = "standard input"
    data = sys.stdin.buffer.read()
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return _parse(data, source, parse_json_lines if start in (b"{", b"[") else parse_delimited)


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """What the operating system says against reading, as errors for the user."""
    try:
        yield
    except PermissionError as error:
        raise DataError(
            "may not be read: permission denied",
            where=str(error.filename or source),
            mend="ask for the right to read it, or copy it to where you have it",
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot be read: {reason}", where=source) from error


def _absent(path: Path, source: str) -> DataError:
    folder = path.parent
    mend = "check the path" if path.is_absolute() else f"check the path; it starts at {Path.cwd()}"
    if not folder.is_dir():
        what = f"no such file: the folder {str(folder)!r} does not exist"
        return DataError(what, where=source, mend=mend)
    guess = did_you_mean(path.name, (child.name for child in folder.iterdir()))
    return DataError("no such file", where=source, mend=guess or mend)
