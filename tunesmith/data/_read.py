"""From the name of a file, of several, of a folder, a database or a data set to a table."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tunesmith.config import redact
from tunesmith.data._binary import read_parquet, read_workbook
from tunesmith.data._decode import decode
from tunesmith.data._delimited import parse_delimited, parse_lines
from tunesmith.data._folder import data_file, is_saved_dataset, read_saved_dataset
from tunesmith.data._hub import read_hub
from tunesmith.data._json import parse_json, parse_json_lines
from tunesmith.data._long import LongText, open_long_text
from tunesmith.data._many import files_of_pattern, read_several
from tunesmith.data._sources import is_address, is_pattern, sheet_of
from tunesmith.data._sql import SQL_SCHEMES, read_sql
from tunesmith.data._suggest import did_you_mean
from tunesmith.data._table import Table, empty_file
from tunesmith.data._text_files import is_text_folder, read_text_folder
from tunesmith.errors import DataError

__all__ = ["read_table", "require_present"]

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
    'several of them by a pattern, "data/*.csv"; a folder saved by datasets, or of text files in '
    "folders named as their labels; sqlite:///FILE?table=NAME, postgresql://…, duckdb:///FILE; "
    "hf://datasets/OWNER/NAME; - for standard input"
)
_DATABASES = {".db", ".db3", ".sqlite", ".sqlite3"}


def read_table(source: str | Path) -> Table:
    """Reads a table whole; what it is read from is never written to.

    Args:
        source: a file (the suffix says what it is); a sheet of a workbook ("book.xlsx?sheet=Rows");
            a pattern such as "data/*.csv", whose files
            are read one after another; a folder that `datasets` saved, with one data file, or with
            a folder of text files for each label; a table or query of a database
            ("sqlite:///shop.db?table=tickets", "postgresql://ann@host/shop?query=SELECT …",
            "duckdb:///shop.duckdb"); a data set of the Hugging Face hub
            ("hf://datasets/owner/name/train"); or "-" for CSV or JSON lines on standard input.

    Raises:
        DataError: there is no such thing, or it cannot be read as what its name says.
        MissingDependencyError: a database's driver is not installed.
    """
    name = str(source)
    if name == "-":
        return _read_standard_input()
    with _readable(redact(name)):
        if isinstance(source, str) and is_address(name):
            return _read_address(name)
        if is_pattern(name):
            return read_several(files_of_pattern(name), name, _read_file)
        path, sheet = _place(name)
        if sheet is not None:
            return read_workbook(path, name, sheet)
        return _read_folder(path, name) if path.is_dir() else _read_file(path, name)


def require_present(*sources: str | Path | None) -> None:
    """Looks whether files that `read_table` is to read are there; what else it reads is let pass.

    Takes no time, for a command to ask before it loads libraries that take seconds.

    Raises:
        DataError: there is no such file.
    """
    for source in sources:
        name = "-" if source is None else str(source)
        if name == "-" or is_pattern(name) or (isinstance(source, str) and is_address(name)):
            continue
        with _readable(name):
            _place(name)


def _place(name: str) -> tuple[Path, str | None]:
    """The path, and the sheet of a workbook where the name says one."""
    file, sheet = sheet_of(name)
    path = Path(file).expanduser()
    if not path.exists():
        raise _absent(path, file)
    return path, sheet


def _read_address(address: str) -> Table:
    scheme = address.partition("://")[0].lower()
    if scheme in SQL_SCHEMES:
        return read_sql(address)
    if scheme == "hf":
        return read_hub(address, {*_PARSERS, *_READERS}, _read_file)
    # What stands behind "?" in other addresses may be a key that opens them.
    where = redact(address).partition("?")[0]
    mend = "download the file first, and give its path" if scheme in ("http", "https") else ""
    raise DataError(
        f"data is not read from {scheme}://", where=where, mend=mend or f"what is read: {_READ}"
    )


def _read_folder(path: Path, name: str) -> Table:
    if is_saved_dataset(path):
        return read_saved_dataset(path, name)
    file = data_file(path, name, {*_PARSERS, *_READERS})
    if file is None and is_text_folder(path):
        return read_text_folder(path, name)
    if file is None:
        raise DataError(
            "is a folder and holds no data file",
            where=name,
            mend="name a file instead; text files are read from folders named as their labels",
        )
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
        if suffix in _DATABASES:
            mend = f"if it is an SQLite database: sqlite:///{source}?table=NAME"
            raise DataError(what, where=source, mend=mend)
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
