"""Parquet files, Arrow files and workbooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunesmith.data._delimited import header_names
from tunesmith.data._table import Table, check_names, table_of
from tunesmith.errors import DataError
from tunesmith.tasks import label_text

__all__ = ["name_labels", "read_arrow", "read_parquet", "read_workbook"]


def read_parquet(path: Path, source: str) -> Table:
    """One Parquet file. Integers that a `datasets` ClassLabel names become those names.

    Raises:
        DataError: it is not a Parquet file, or has no rows.
    """
    # pyarrow.parquet.read_table would add columns from folder names such as "year=2024".
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            arrow = file.read()
    except (pa.ArrowException, ValueError) as error:
        raise _not_a("a Parquet file", source, error) from error
    return _named(arrow, source)


def read_arrow(path: Path, source: str) -> pa.Table:
    """An Arrow IPC stream (as `datasets` writes) or file.

    Raises:
        DataError: it is neither.
    """
    try:
        with pa.memory_map(str(path)) as memory:
            try:
                return pa.ipc.open_stream(memory).read_all()
            except pa.ArrowInvalid:
                memory.seek(0)
                return pa.ipc.open_file(memory).read_all()
    except (pa.ArrowException, ValueError) as error:
        raise _not_a("an Arrow file", source, error) from error


def read_workbook(path: Path, source: str) -> Table:
    """The first sheet of an Excel or OpenDocument workbook that holds anything.

    Raises:
        DataError: it is not a workbook, is locked, or has no rows.
    """
    from python_calamine import CalamineError, PasswordError, load_workbook

    try:
        with path.open("rb") as file, load_workbook(file) as workbook:
            names = workbook.sheet_names
            sheets = ((name, workbook.get_sheet_by_name(name).to_python()) for name in names)
            name, cells = next(((name, rows) for name, rows in sheets if rows), ("", []))
    except PasswordError as error:
        raise DataError(
            "is locked with a password", where=source, mend="save it without one"
        ) from error
    except (CalamineError, ValueError) as error:
        raise _not_a("a workbook", source, error) from error
    if not cells:
        raise DataError("all sheets are empty", where=source)
    note = [f"sheet {name!r} is read, the first of {len(names)} with data"] * (len(names) > 1)
    return _from_cells(cells, source, note)


def _from_cells(cells: Sequence[Sequence[object]], source: str, notes: list[str]) -> Table:
    rows = [[None if cell == "" else cell for cell in row] for row in cells]
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()  # formatting alone makes rows that look empty
    if len(rows) < 2:
        raise DataError(
            "there are no rows below the column names", where=source, mend="add rows below them"
        )
    header = [
        cell if isinstance(cell, str) else "" if cell is None else label_text(cell)
        for cell in rows[0]
    ]
    columns = list(zip(*rows[1:], strict=True))
    names, kept, more = header_names(header, columns, source)
    return table_of(names, kept, source, [*notes, *more])


def _named(arrow: pa.Table, source: str) -> Table:
    check_names([str(name) for name in arrow.column_names], source)
    if not arrow.num_rows:
        raise DataError("there are no rows", where=source)
    metadata = arrow.schema.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (KeyError, TypeError, ValueError):
        features = {}
    return name_labels(Table(arrow.replace_schema_metadata(None), source), features)


def name_labels(table: Table, features: object) -> Table:
    """Integers that stand for labels, replaced by the names that `features` gives them.

    Args:
        table: integer columns, or columns of lists of integers.
        features: the "features" of a `datasets` dataset_info.json; what has no names is left.

    Raises:
        DataError: an integer has no name.
    """
    if not isinstance(features, Mapping):
        return table
    named: dict[str, list[object]] = {}
    for column in table.column_names:
        labels = _label_names(features.get(column))
        if labels:
            values = table.column(column)
            named[column] = [_name(value, labels, column, table.source) for value in values]
    notes = [f"column {column!r} is read by the label names in the file" for column in named]
    renamed = table.with_columns(named)
    return Table(renamed.arrow, table.source, (*table.notes, *notes))


def _label_names(feature: Any) -> list[str]:
    """The names of a ClassLabel, or of a list of ClassLabels as each version writes it."""
    if isinstance(feature, list) and len(feature) == 1:
        return _label_names(feature[0])
    if not isinstance(feature, Mapping):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or ()]
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return _label_names(feature.get("feature"))
    return []


def _name(value: object, labels: Sequence[str], column: str, source: str) -> object:
    if isinstance(value, list):
        return [_name(one, labels, column, source) for one in value]
    if value is None or value == -1:  # how `datasets` writes a label that is not known
        return None
    if isinstance(value, int) and 0 <= value < len(labels):
        return labels[value]
    raise DataError(
        f"column {column!r} holds {value!r}, and its labels are numbered 0 to {len(labels) - 1}",
        where=source,
    )


def _not_a(kind: str, source: str, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    mend = "copy or export it again; if it is something else, let its suffix say so"
    return DataError(f"is not {kind}, or is damaged: {reason}", where=source, mend=mend)
