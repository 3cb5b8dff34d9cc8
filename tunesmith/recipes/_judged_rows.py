"""Labelled rows that one or two finished bundles are judged on, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.bundles import Bundle, read_rows
from tunesmith.checks import connected, near_pairs
from tunesmith.data import (
    Columns,
    LoadedData,
    Table,
    build_dataset,
    choose_columns,
    labels_of,
    overlap,
    read_table,
)
from tunesmith.errors import DataError
from tunesmith.recipes._lineage import train_rows_of
from tunesmith.recipes._listener import Listener
from tunesmith.tasks import MultiLabelClassification, Task
from tunesmith.types import Dataset

__all__ = ["Copies", "JudgedRows", "read_judged_rows", "warn_of_training_rows"]

_TEXTS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """Labelled rows of a file.

    Attributes:
        dataset: n rows, whose labels are all known.
        extra: the file's other columns by name, n values each.
        groups: int64 [n], rows of one group depend on each other; None where rows stand alone.
        num_unseen: rows left out for a label that is not known.
    """

    dataset: Dataset
    extra: dict[str, Sequence[object]] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    num_unseen: int = 0


def read_judged_rows(
    task: Task,
    source: str,
    listener: Listener,
    *,
    target: str | None,
    group: str | None = None,
    needs_group: bool = False,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
    separator: str | None = None,
) -> JudgedRows:
    """Reads rows with the task's columns.

    Args:
        target: the label's column.
        group: the column whose values say which rows depend on each other.
        needs_group: whether a file without that column is refused.
        drop_missing: leave out rows without text or label.
        ignore_unseen: leave out rows with labels that the task does not have, and say so.

    Raises:
        DataError: the file, its columns or its rows cannot be used.
    """
    table = read_table(source)
    text = [entry.name for entry in task.fields]
    besides = (group,) if group is not None and needs_group else ()
    columns = choose_columns(table, text=text, target=target, besides=besides)
    multi_label = isinstance(task, MultiLabelClassification)
    loaded = build_dataset(
        table,
        columns,
        multi_label=multi_label,
        label_separator=separator if multi_label else None,
        missing="drop" if drop_missing else "fail",
    )
    if not len(loaded.dataset):
        raise DataError("no rows are left", where=table.source)
    for note in (*table.notes, *loaded.notes):
        listener.say(note)
    dataset = _known_rows(task, loaded, table, listener, ignore_unseen=ignore_unseen)
    return JudgedRows(
        dataset=dataset,
        extra=_extra(table, columns, dataset),
        groups=None if group is None else _groups(table, group, dataset, listener),
        num_unseen=len(loaded.dataset) - len(dataset),
    )


def _known_rows(
    task: Task, loaded: LoadedData, table: Table, listener: Listener, *, ignore_unseen: bool
) -> Dataset:
    """The rows whose labels the task has."""
    dataset, known = loaded.dataset, set(task.labels)
    own = [labels_of(target) for target in dataset.targets or ()]
    unseen = Counter(label for labels in own for label in labels if label not in known)
    if not unseen:
        return dataset
    places = [place for place, labels in enumerate(own) if known.issuperset(labels)]
    num_unseen = len(own) - len(places)
    counts = ", ".join(f"{label!r} ({unseen[label]:,}×)" for label in sorted(unseen)[:10])
    more = f" and {len(unseen) - 10:,} more" if len(unseen) > 10 else ""
    rows = "1 row has" if num_unseen == 1 else f"{num_unseen:,} rows have"
    what = f"{rows} labels that the model does not know: {counts}{more}"
    if not ignore_unseen or not places:
        raise DataError(what, where=table.source, mend=_unseen_mend(task, unseen, bool(places)))
    listener.warn(
        f"{what}; they are left out (--ignore-unseen), and the figures say nothing of them"
    )
    return dataset.take(places)


def _unseen_mend(task: Task, unseen: Counter[str], some_known: bool) -> str:
    if not isinstance(task, MultiLabelClassification) and any(
        set(map(str.strip, label.replace(";", "|").split("|"))) <= set(task.labels)
        for label in unseen
    ):
        return "the rows have several labels each, and the model gives one: it is of another task"
    shown = ", ".join(task.labels[:20]) + (" …" if len(task.labels) > 20 else "")
    known = f"the model knows {shown}"
    return f"{known}; --ignore-unseen leaves such rows out" if some_known else known


def _extra(table: Table, columns: Columns, dataset: Dataset) -> dict[str, Sequence[object]]:
    """The columns that the model does not read."""
    rows = pa.array(dataset.rows - 1)
    names = [name for name in table.column_names if name not in (*columns.text, columns.target)]
    return {name: table.arrow.column(name).take(rows).to_pylist() for name in names}


def _groups(
    table: Table, column: str, dataset: Dataset, listener: Listener
) -> NDArray[np.int64] | None:
    if column not in table.column_names:
        listener.warn(
            f"there is no column {column!r}, by which rows were kept together in training: they "
            "are taken as independent, and intervals may be too narrow"
        )
        return None
    values = [str(value) for value in table.arrow.column(column).take(pa.array(dataset.rows - 1))]
    groups = np.unique(np.array(values), return_inverse=True)[1].astype(np.int64)
    num_groups = int(groups.max()) + 1
    listener.say(f"intervals are over {num_groups:,} groups of {column!r}, not over rows")
    return groups


@dataclass(frozen=True, slots=True)
class Copies:
    """How many rows have a training row's text exactly, and how many others nearly so."""

    exact: int
    near: int


def warn_of_training_rows(
    bundle: Bundle, dataset: Dataset, listener: Listener
) -> tuple[Dataset | None, Copies]:
    """Says how many rows the bundle was trained on, or on nearly the same.

    Returns:
        The training rows, where the bundle's run still keeps them beside it; and how many rows are
        among them, and nearly so.
    """
    kept = train_rows_of(bundle)
    if not kept.is_file():
        return None, Copies(0, 0)
    facts = bundle.manifest.data
    try:
        known = read_rows(kept, facts["text"], facts["target"])
    except DataError:  # another user's, or damaged: a warning less, and no reason to fail
        return None, Copies(0, 0)
    copies = {row for _, row in overlap(known, dataset)}
    num_near = len(_near_rows(known, dataset) - copies)
    said = []
    if copies:
        was = "was" if len(copies) == 1 else "were"
        said.append(f"{len(copies):,} of {len(dataset):,} texts {was} trained on")
    if num_near:
        differ = "differs" if num_near == 1 else "differ"
        more = f"more {differ}" if copies else f"of {len(dataset):,} texts {differ}"
        said.append(f"{num_near:,} {more} hardly from texts that were trained on")
    if said:
        listener.warn(f"{', and '.join(said)}: the figures are too good")
    return known, Copies(len(copies), num_near)


def _near_rows(known: Dataset, dataset: Dataset) -> set[int]:
    """Row numbers of the rows that are nearly a training row."""
    found: set[int] = set()
    for group in connected(near_pairs(_pieces(known, dataset))):
        if group[0] < len(known):
            found |= {int(dataset.rows[one - len(known)]) for one in group if one >= len(known)}
    return found


def _pieces(*parts: Dataset) -> Iterator[tuple[int, pa.Array]]:
    """All texts, some thousand at a time, each piece with the place of its first."""
    start = 0
    for part in parts:
        inputs = part.inputs
        for first in range(0, len(part), _TEXTS_AT_ONCE):
            texts = ["\n".join(map(str, row)) for row in inputs[first : first + _TEXTS_AT_ONCE]]
            yield start, pa.array(texts)
            start += len(texts)
