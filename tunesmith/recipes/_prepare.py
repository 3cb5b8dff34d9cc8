"""From a file to a task and its three splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import counted
from tunesmith.config import DataConfig, redact
from tunesmith.data import (
    Columns,
    LoadedData,
    Split,
    Table,
    build_dataset,
    check_trainable,
    choose_columns,
    fingerprint,
    overlap,
    read_table,
    source_name,
)
from tunesmith.errors import DataError
from tunesmith.recipes._cleaning import CleanRows, clean_rows, look_for_faults
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import Parent, inherit_task, inherited_notes
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._replay import mix_in
from tunesmith.recipes._slices import check_extra, extra_columns
from tunesmith.recipes._splitting import groups_of, held_out_how, kinship, split_rows
from tunesmith.tasks import Field, MultiLabelClassification, Task, TextClassification
from tunesmith.types import Dataset

__all__ = ["PreparedData", "PreparedRows", "prepare_data", "prepare_rows"]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """The task that the data sets, and its rows.

    Attributes:
        split: train, validation and test; every target is one of the task's labels.
        split_source: how the test rows were come by, for the report.
        facts: what the manifest and the report say of the data.
        extra: further columns of the test rows, by name, a value each.
        test_groups: int64 [n], which test rows belong together, where a column says so.
    """

    task: Task
    split: Split
    split_source: str
    facts: Mapping[str, Any]
    extra: Mapping[str, Sequence[object]] = field(default_factory=dict)
    test_groups: NDArray[np.int64] | None = None

    @property
    def test(self) -> Dataset:
        """The test rows; there always are some."""
        assert self.split.test is not None
        return self.split.test


def prepare_data(
    config: DataConfig,
    seed: int,
    listener: Listener,
    *,
    parent: Parent | None = None,
    with_test: bool = True,
    with_checks: bool = True,
    extra: Sequence[str] = (),
) -> PreparedData:
    """Reads the files, checks them, makes the task, and splits the rows.

    Args:
        parent: the bundle that training starts from; its labels are the task's where they are
            kept, and its rows are replayed where that is asked for.
        with_test: if not, the same rows without the test: its file is not read, rows that are
            held out for it are put aside, and `test` is empty.
        with_checks: whether to look for faults, where the settings do not forbid it.
        extra: columns of the test rows that are kept besides.

    Raises:
        DataError: a file, its columns or its rows cannot be used; all that is wrong at once.
    """
    read = _read(config, parent, listener, extra)
    check_extra(extra, read.columns)
    task, split = read.task, _split(read, config, seed, listener, with_test)
    facts = _facts(read, config)
    if with_checks and config.checks:
        facts["findings"] = look_for_faults(read.clean.subject, config, listener)
    if parent is not None and config.replay:
        target = str(read.columns.target)
        replay = mix_in(parent, task, target, split, config, seed, listener)
        split, facts = replay.split, {**facts, "replay": replay.facts}
    _warn_of_overlap(split, listener)
    sizes = f"{len(split.train):,} train, {len(split.validation):,} validation"
    num_test = counted(len(split.test or ()), "test row", "test rows")
    test = num_test if with_test else "the test rows are put aside"
    listener.say(f"{counted(len(task.labels), 'label', 'labels')}; {sizes}, {test}")
    if not with_test:
        split = Split(split.train, split.validation, split.train.take([]))
    source = source_name(config.test) if config.test else held_out_how(config, seed)
    columns: Mapping[str, Sequence[object]] = {}
    if with_test and split.test is not None:
        columns = extra_columns(config.test or read.table, extra, split.test.rows)
    groups = _test_groups(read, split.test, config, listener) if with_test else None
    return PreparedData(task, split, source, facts, columns, groups)


def _test_groups(
    read: _Read, test: Dataset | None, config: DataConfig, listener: Listener
) -> NDArray[np.int64] | None:
    """Which test rows belong together: intervals are over groups then."""
    if config.group is None or test is None:
        return None
    table = read.table if config.test is None else read_table(config.test)
    if config.group not in table.column_names:
        listener.warn(
            f"the test file has no column {config.group!r}: its rows are taken as independent, and "
            "intervals may be too narrow"
        )
        return None
    return groups_of(table, config.group, test)


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """The task that the data sets, and its n rows, of which none is held out yet.

    Attributes:
        owners, links: what of them belongs together; see `kinship`.
        facts: what a report says of the data.
    """

    task: Task
    dataset: Dataset
    owners: Sequence[bytes] | None
    links: NDArray[np.int64] | None
    facts: Mapping[str, Any]


def prepare_rows(
    config: DataConfig, listener: Listener, *, parent: Parent | None = None
) -> PreparedRows:
    """Reads and checks the source as `prepare_data` does, and leaves the splitting to others.

    Raises:
        DataError: the file, its columns or its rows cannot be used; all that is wrong at once.
    """
    read = _read(config, parent, listener, ())
    facts = _facts(read, config)
    if config.checks:
        facts["findings"] = look_for_faults(read.clean.subject, config, listener)
    dataset = read.loaded.dataset
    owners, links = kinship(read.clean.subject, read.table, dataset, config, listener)
    labels = counted(len(read.task.labels), "label", "labels")
    listener.say(f"{labels}, {counted(len(dataset), 'row', 'rows')}")
    return PreparedRows(read.task, dataset, owners, links, facts)


@dataclass(frozen=True, slots=True)
class _Read:
    """The source file, read."""

    table: Table
    columns: Columns
    loaded: LoadedData
    task: Task
    notes: tuple[str, ...]
    clean: CleanRows


def _read(
    config: DataConfig, parent: Parent | None, listener: Listener, extra: Sequence[str]
) -> _Read:
    table = read_table(config.source)
    text, target = config.text, config.target
    heir = parent if parent is not None and parent.keeps_head else None
    if heir is not None:
        text, target = heir.columns_in(table, text, target)
    besides = [name for name in (config.group, config.time) if name is not None]
    # Columns of the test rows must be here only where those come from here.
    besides += [name for name in extra if config.test is None or name in table.column_names]
    columns = choose_columns(table, text=text, target=target, besides=besides)
    clean = clean_rows(table, columns, config, listener)
    loaded = build_dataset(
        clean.subject.table,
        columns,
        multi_label=clean.subject.multi_label,
        label_separator=clean.subject.label_separator,
        leave_out=clean.leave_out,
        missing="drop" if config.drop_missing else "fail",
        drop_rare_labels=config.drop_rare_labels,
    )
    notes = [*table.notes, *columns.notes, *loaded.notes]
    for note in notes:
        listener.say(note)
    check_trainable(loaded)
    task = _make_task(columns, loaded)
    if heir is not None:
        own = task.labels
        task = inherit_task(heir, task, loaded.dataset.targets or (), table.source)
        for note in (inherited := inherited_notes(heir, task, own)):
            listener.say(note)
        notes += inherited
    return _Read(table, columns, loaded, task, tuple(notes), clean)


def _split(
    read: _Read, config: DataConfig, seed: int, listener: Listener, with_test: bool
) -> Split:
    validation = _read_beside(config.validation, config, read, listener)
    test = _read_beside(config.test, config, read, listener) if with_test else None
    split = split_rows(read.clean.subject, read.table, read.loaded.dataset, config, seed, listener)
    split = Split(split.train, validation or split.validation, test or split.test)
    is_unread = config.test is not None and not with_test
    _check_split(split, config, ("validation",) if is_unread else ("validation", "test"))
    return split


def _facts(read: _Read, config: DataConfig) -> dict[str, Any]:
    return {
        # A bundle travels: it names the file, and keeps the folders of this machine to itself.
        "source": source_name(config.source),
        "fingerprint": fingerprint(read.loaded.dataset),
        "text": list(read.columns.text),
        "target": read.columns.target,
        "rows": read.table.num_rows,
        "dropped": dict(read.loaded.dropped),
        **read.clean.facts,
        "notes": list(read.notes),
    }


def _make_task(columns: Columns, loaded: LoadedData) -> Task:
    fields = tuple(Field(name) for name in columns.text)
    targets = loaded.dataset.targets or ()
    if loaded.multi_label:
        labels = sorted({label for target in targets for label in target})
        return MultiLabelClassification(fields, tuple(labels))
    return TextClassification(fields, tuple(sorted({str(target) for target in targets})))


def _read_beside(
    source: str | None, config: DataConfig, read: _Read, listener: Listener
) -> Dataset | None:
    if source is None:
        return None
    beside, _ = dataset_for(
        read.task,
        source,
        target=read.columns.target,
        drop_missing=config.drop_missing,
        separator=config.label_separator if read.loaded.multi_label else None,
    )
    for note in beside.notes:
        listener.say(f"{redact(source)}: {note}")
    return beside.dataset


def _check_split(split: Split, config: DataConfig, names: Sequence[str]) -> None:
    mend = "set data.{0}_fraction above 0, or give a file with --{0}"
    for name in names:
        part = split.validation if name == "validation" else split.test
        if part is None or not len(part):
            raise DataError(
                f"there are no {name} rows", where=redact(config.source), mend=mend.format(name)
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
