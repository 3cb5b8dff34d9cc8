"""Labelled rows on the disk, exactly as they were: texts and targets in one Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.errors import DataError
from tunesmith.types import Dataset, Texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_rows", "write_rows"]

_ROWS_AT_ONCE = 10_000


def write_rows(file: Path, dataset: Dataset, text: Sequence[str], target: str) -> None:
    """Writes n labelled rows; any tool that opens Parquet reads them.

    Args:
        file: a new file in a folder that exists.
        text: a name for each column of texts.
        target: the name for the targets: a string, or a list of strings for several labels a row.

    Raises:
        OSError: the disk is full, or the file may not be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    assert dataset.targets is not None
    single = isinstance(dataset.targets[0], str)
    kinds = [*[pa.string()] * len(text), pa.string() if single else pa.list_(pa.string())]
    schema = pa.schema(list(zip([*text, target], kinds, strict=True)))
    # Opened here and not by Arrow, whose errors do not say why a write failed.
    with (
        file.open("xb") as opened,
        parquet.ParquetWriter(opened, schema, compression="zstd") as writer,
    ):
        for start in range(0, len(dataset), _ROWS_AT_ONCE):
            stop = start + _ROWS_AT_ONCE
            columns = [list(column[start:stop]) for column in dataset.columns]
            targets = [one if single else list(one) for one in dataset.targets[start:stop]]
            arrays = zip([*columns, targets], kinds, strict=True)
            writer.write_table(pa.table([pa.array(v, k) for v, k in arrays], schema=schema))


def read_rows(file: Path, text: Sequence[str], target: str) -> Dataset:
    """The n rows that `write_rows` wrote, numbered from 1.

    Raises:
        DataError: it cannot be read, or has not these columns.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with file.open("rb") as opened:
            table = parquet.read_table(opened, columns=[*text, target])
        columns = tuple(Texts.of(_values(table, name)) for name in text)
        targets = _values(table, target, lists=True)
    except (OSError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"the rows of an earlier training cannot be read: {error}",
            where=str(file),
            mend="restore the file from a copy",
        ) from error
    return Dataset(
        columns=columns,
        targets=[one if isinstance(one, str) else tuple(one) for one in targets],
        rows=np.arange(1, table.num_rows + 1),
        source=str(file),
    )


def _values(table: pa.Table, name: str, *, lists: bool = False) -> list[Any]:
    """A column's texts, or lists of texts where those may be."""
    import pyarrow as pa

    column = table.column(name)
    kind = column.type.value_type if lists and pa.types.is_list(column.type) else column.type
    if not pa.types.is_string(kind) or column.null_count:
        raise TypeError(f"column {name!r} holds {kind}, or lacks values")
    values: list[Any] = column.to_pylist()
    return values
