"""Parquet files, Arrow files and workbooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunesmith.data._delimited import header_names, stripped_names
from tunesmith.data._spill import ArrayStore
from tunesmith.data._suggest import did_you_mean, listed
from tunesmith.data._table import ROWS_AT_ONCE, Table, check_names, table_of
from tunesmith.errors import DataError
from tunesmith.tasks import label_text

__all__ = ["name_labels", "read_arrow", "read_parquet", "read_workbook"]

_MANY_BYTES = 32 << 20
"""A Parquet file that is longer is not read whole; it may unfold to ten times as much."""


def read_parquet(path: Path, source: str) -> Table:
    """One Parquet file. Integers that a `datasets` ClassLabel names become those names.

    Raises:
        DataError: it is not a Parquet file, or has no rows.
    """
    # pyarrow.parquet.read_table would add columns from folder names such as "year=2024".
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            arrow = _by_the_piece(file) if path.stat().st_size > _MANY_BYTES else file.read()
    except (pa.ArrowException, ValueError) as error:
        raise _not_a("a Parquet file", source, error) from error
    return _named(arrow, source)


def _by_the_piece(file: Any) -> pa.Table:
    """The table of a long Parquet file, its columns on the disk where they are long."""
    schema, store = file.schema_arrow, ArrayStore()
    try:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for array in batch.columns:
                store.add(array)
        arrays, width = store.finish(), len(schema)
        columns = [pa.chunked_array(arrays[i::width], schema.types[i]) for i in range(width)]
        return pa.table(columns, schema=schema)
    finally:
        store.close()


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


def read_workbook(path: Path, source: str, sheet: str | None = None) -> Table:
    """One sheet of an Excel or OpenDocument workbook.

    Args:
        sheet: its name; the first one that holds anything where None.

    Raises:
        DataError: it is not a workbook, is locked, has no such sheet, or no rows; or the first
            sheet is no table and others are.
    """
    from python_calamine import CalamineError, PasswordError, load_workbook

    try:
        with path.open("rb") as file, load_workbook(file) as workbook:
            sheets = {
                name: workbook.get_sheet_by_name(name).to_python()
                for name in workbook.sheet_names
                if sheet is None or name == sheet or sheet not in workbook.sheet_names
            }
    except PasswordError as error:
        raise DataError(
            "is locked with a password", where=source, mend="save it without one"
        ) from error
    except (CalamineError, ValueError) as error:
        raise _not_a("a workbook", source, error) from error
    if sheet is not None:
        if sheet not in sheets:
            mend = f"{did_you_mean(sheet, sheets)} the sheets are {listed(sheets)}".strip()
            raise DataError(f"there is no sheet {sheet!r}", where=source, mend=mend)
        if not sheets[sheet]:
            raise DataError("the sheet is empty", where=source)
        return _from_cells(sheets[sheet], source, [])
    filled = {name: cells for name, cells in sheets.items() if cells}
    if not filled:
        raise DataError("all sheets are empty", where=source)
    first = next(iter(filled))
    _refuse_notes(filled, first, source)
    others = [name for name in filled if name != first]
    note = f"sheet {first!r} is read; {_choice(source, others)}"
    return _from_cells(filled[first], source, [note] if others else [])


def _refuse_notes(
    sheets: Mapping[str, Sequence[Sequence[object]]], first: str, source: str
) -> None:
    """Refuses a first sheet that is no table, such as one with notes, where another one is."""
    tables = [name for name, cells in sheets.items() if _is_table(cells)]
    if tables and first not in tables:
        raise DataError(
            f"sheet {first!r} holds no table of texts and labels",
            where=source,
            mend=_choice(source, tables),
        )


def _is_table(cells: Sequence[Sequence[object]]) -> bool:
    """Whether a first line could be names of two columns and more, with values below."""
    filled = [sum(str(cell).strip() != "" for cell in row) for row in cells]
    return len(filled) > 1 and filled[0] > 1 and max(filled[1:]) > 1


def _choice(source: str, names: Sequence[str]) -> str:
    shown = " or ".join(f'"{source}?sheet={name}"' for name in names[:5])
    return f"{shown} reads another"


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
    table = table_of(names, kept, source, [*notes, *more])
    return replace(table, stripped=stripped_names(header, names))


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
