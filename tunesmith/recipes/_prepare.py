"""From a file to a task and its three splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.config import DataConfig
from tunesmith.data import (
    Columns,
    LoadedData,
    Split,
    build_dataset,
    check_trainable,
    choose_columns,
    fingerprint,
    overlap,
    read_table,
    split_dataset,
)
from tunesmith.errors import DataError
from tunesmith.recipes._listener import Listener
from tunesmith.tasks import Field, MultiLabelClassification, Task, TextClassification
from tunesmith.types import Dataset

_MAX_VALIDATION_ROWS = 500

__all__ = ["PreparedData", "dataset_for", "prepare_data"]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """The task that the data sets, and its rows.

    Attributes:
        split: train, validation and test; every target is one of the task's labels.
        split_source: how the test rows were come by, for the report.
        facts: what the manifest and the report say of the data.
    """

    task: Task
    split: Split
    split_source: str
    facts: Mapping[str, Any]

    @property
    def test(self) -> Dataset:
        """The test rows; there always are some."""
        assert self.split.test is not None
        return self.split.test


def prepare_data(config: DataConfig, seed: int, listener: Listener) -> PreparedData:
    """Reads the files, checks them, makes the task, and splits the rows.

    Raises:
        DataError: a file, its columns or its rows cannot be used; all that is wrong at once.
    """
    table = read_table(config.source)
    columns = choose_columns(table, text=config.text, target=config.target)
    loaded = build_dataset(
        table,
        columns,
        multi_label=config.multi_label,
        label_separator=config.label_separator,
        missing="drop" if config.drop_missing else "fail",
        drop_rare_labels=config.drop_rare_labels,
    )
    for note in (*table.notes, *columns.notes, *loaded.notes):
        listener.say(note)
    check_trainable(loaded)
    task = _make_task(columns, loaded)
    validation = _read_beside(config.validation, config, columns, task, loaded, listener)
    test = _read_beside(config.test, config, columns, task, loaded, listener)
    split = split_dataset(
        loaded.dataset,
        validation=0.0 if validation is not None else _validation_fraction(config, loaded),
        test=0.0 if test is not None else config.test_fraction,
        seed=seed,
    )
    split = Split(split.train, validation or split.validation, test or split.test)
    _check_split(split, config)
    _warn_of_overlap(split, listener)
    sizes = f"{len(split.train):,} train, {len(split.validation):,} validation"
    listener.say(f"{len(task.labels)} labels; {sizes}, {len(split.test or ()):,} test rows")
    # A bundle travels: it names the file, and keeps the folders of this machine to itself.
    source = Path(config.source).name
    return PreparedData(
        task=task,
        split=split,
        split_source=Path(config.test).name
        if config.test
        else f"{config.test_fraction:.0%} of {source}, held out by label, seed {seed}",
        facts={
            "source": source,
            "fingerprint": fingerprint(loaded.dataset),
            "text": list(columns.text),
            "target": columns.target,
            "rows": table.num_rows,
            "dropped": dict(loaded.dropped),
            "notes": [*table.notes, *columns.notes, *loaded.notes],
        },
    )


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
        raise DataError("no rows are left", where=source)
    try:
        task.encode(loaded.dataset.targets or [])
    except DataError as error:
        fault = error.faults[0]
        raise DataError(fault.what, where=source, mend=fault.mend) from error
    return replace(loaded, notes=(*table.notes, *loaded.notes)), columns


def _validation_fraction(config: DataConfig, loaded: LoadedData) -> float:
    if config.validation_fraction is not None:
        return config.validation_fraction
    return min(0.1, _MAX_VALIDATION_ROWS / max(len(loaded.dataset), 1))


def _make_task(columns: Columns, loaded: LoadedData) -> Task:
    fields = tuple(Field(name) for name in columns.text)
    targets = loaded.dataset.targets or ()
    if loaded.multi_label:
        labels = sorted({label for target in targets for label in target})
        return MultiLabelClassification(fields, tuple(labels))
    return TextClassification(fields, tuple(sorted({str(target) for target in targets})))


def _read_beside(
    source: str | None,
    config: DataConfig,
    columns: Columns,
    task: Task,
    loaded: LoadedData,
    listener: Listener,
) -> Dataset | None:
    if source is None:
        return None
    beside, _ = dataset_for(
        task,
        source,
        target=columns.target,
        drop_missing=config.drop_missing,
        separator=config.label_separator if loaded.multi_label else None,
    )
    for note in beside.notes:
        listener.say(f"{source}: {note}")
    return beside.dataset


def _check_split(split: Split, config: DataConfig) -> None:
    mend = "set data.{0}_fraction above 0, or give a file with --{0}"
    for name, part in (("validation", split.validation), ("test", split.test)):
        if part is None or not len(part):
            raise DataError(
                f"there are no {name} rows", where=config.source, mend=mend.format(name)
            )


def _warn_of_overlap(split: Split, listener: Listener) -> None:
    for name, part in (("validation", split.validation), ("test", split.test)):
        shared = overlap(split.train, part) if part is not None else []
        if part is not None and shared:
            rows = len({row for _, row in shared})
            listener.warn(
                f"{rows:,} of {len(part):,} {name} rows ({rows / len(part):.1%}) have a text "
                f"that is in the training rows too: the figures will look better than they are"
            )
