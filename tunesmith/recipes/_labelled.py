"""Labelled rows of one more file, for a task that is given."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.data import Columns, LoadedData, build_dataset, choose_columns, read_table
from tunesmith.errors import DataError
from tunesmith.tasks import Task

__all__ = ["dataset_for"]


def dataset_for(
    task: Task, source: str, *, target: str | None, drop_missing: bool, separator: str | None = None
) -> tuple[LoadedData, Columns]:
    """Labelled rows of another file for a task that is given, read from the task's own columns.

    Raises:
        DataError: the columns differ, or labels occur that the task does not know.
    """
    table = read_table(source)
    columns = choose_columns(table, text=[field.name for field in task.fields], target=target)
    loaded = build_dataset(
        table,
        columns,
        multi_label=task.name == "multi-label-classification",
        label_separator=separator,
        missing="drop" if drop_missing else "fail",
    )
    if not len(loaded.dataset):
        raise DataError("no rows are left", where=table.source)
    try:
        task.encode(loaded.dataset.targets or [])
    except DataError as error:
        fault = error.faults[0]
        raise DataError(fault.what, where=table.source, mend=fault.mend) from error
    return replace(loaded, notes=(*table.notes, *loaded.notes)), columns
