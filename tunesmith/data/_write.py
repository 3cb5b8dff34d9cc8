"""From a table to a file, whole or not at all."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any

from tunesmith.data._table import Table
from tunesmith.errors import OutputError

__all__ = ["check_writable", "write_table"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
_ROWS_A_GROUP = 100_000
"""Of a Parquet file; a group is in memory until it is written."""


def write_table(table: Table, path: Path, *, overwrite: bool = False) -> None:
    """Writes csv, tsv, jsonl (each also as .gz) or parquet, as the suffix says.

    The file is written beside its place and renamed when it is complete, so that a half-written
    one never stands at `path`. In csv and tsv a null is an empty field and a list is a JSON array.

    Args:
        table: what to write.
        path: where to; missing folders are made.
        overwrite: whether a file that is there may be replaced.

    Raises:
        OutputError: the file exists, the suffix is none of these, or the disk is full.
    """
    path = Path(path)
    suffix, compressed = _kind(path)
    with _replacing(path, overwrite) as file:
        if suffix == ".parquet":
            _write_parquet(table, file)
        elif compressed:
            # No name and no time inside, so that equal tables make equal files.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as inflated:
                _write_text(table, inflated, suffix, path)
        else:
            _write_text(table, file, suffix, path)


def check_writable(path: Path, *, overwrite: bool = False) -> None:
    """Finds out, before rows are worked on, whether `write_table` would take this name.

    Raises:
        OutputError: the suffix says nothing, it is a folder, or the file exists.
    """
    _kind(path)
    if path.is_dir():
        raise OutputError("is a folder", where=str(path), mend="name a file")
    if path.exists() and not overwrite:
        raise OutputError(
            "the file exists", where=str(path), mend="choose another name, or --overwrite"
        )


def _kind(path: Path) -> tuple[str, bool]:
    """The suffix that says what to write, and whether to compress it."""
    compressed = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if compressed else path.suffix.lower()
    known = (*_DELIMITERS, *_LINES) if compressed else (*_DELIMITERS, *_LINES, ".parquet")
    if suffix not in known:
        raise OutputError(
            f"cannot tell what to write from the suffix {path.suffix!r}",
            where=str(path),
            mend="end the name in .csv, .tsv, .jsonl or .parquet (the first three also in .gz)",
        )
    return suffix, compressed


@contextmanager
def _replacing(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when all went well, and is gone otherwise."""
    beside = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        check_writable(path, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else f"cannot be written: {error.strerror or error}"
        mend = "make room, or write to another disk" if full else ""
        raise OutputError(reason, where=str(path), mend=mend) from error


def _write_parquet(table: Table, file: IO[bytes]) -> None:
    from pyarrow.parquet import write_table as write_parquet

    write_parquet(table.arrow, file, compression="zstd", row_group_size=_ROWS_A_GROUP)


def _write_text(table: Table, file: Any, suffix: str, path: Path) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    names = table.column_names
    columns = [table.values(name) for name in names]
    try:
        if suffix in _DELIMITERS:
            writer = csv.writer(_Lines(text), delimiter=_DELIMITERS[suffix], lineterminator="\r\n")
            writer.writerow(names)
            for row in zip(*columns, strict=True):
                writer.writerow([_field(value, path) for value in row])
        else:
            for row in zip(*columns, strict=True):
                values = {n: _plain(v, path) for n, v in zip(names, row, strict=True)}
                text.write(json.dumps(values, ensure_ascii=False) + "\n")
    finally:
        text.detach()


class _Lines:
    """Ends the rows of a csv writer with "\\n".

    Told to end rows so itself, csv before Python 3.13 leaves a value's "\\r" without quotes.
    """

    def __init__(self, text: IO[str]) -> None:
        self._text = text

    def write(self, row: str) -> int:
        return self._text.write(row.removesuffix("\r\n") + "\n")


def _field(value: object, path: Path) -> str:
    """A value as csv holds it."""
    value = _plain(value, path)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any, path: Path) -> Any:
    """A value as JSON holds it: what is not a number (NaN) is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, list):
        return [_plain(one, path) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one, path) for key, one in value.items()}
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        raise OutputError(
            f"bytes cannot be written as {path.suffix}", where=str(path), mend="write .parquet"
        )
    return value if isinstance(value, str | int | float | None) else str(value)
