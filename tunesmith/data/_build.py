"""From a table to a dataset that can be trained on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.data._columns import Columns
from tunesmith.data._suggest import listed, rows_text
from tunesmith.data._table import Table
from tunesmith.data._targets import Targets, read_targets
from tunesmith.data._texts import read_texts
from tunesmith.errors import ConfigError, DataError, Fault
from tunesmith.types import Dataset, Target, Texts

__all__ = ["LoadedData", "build_dataset", "check_trainable", "labels_of"]

_LEFT_OUT_WHY = {
    "corrections": "a correction that drops them",
    "cleaning": "a fault that a cleaning step drops",
}
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?\s*%?\s*")


@dataclass(frozen=True)
class LoadedData:
    """A dataset, and how it came about.

    Attributes:
        dataset: the rows kept, in the order of the file.
        multi_label: whether each target is a set of labels.
        notes: what the user should be told of building; the table and its columns have their own.
        dropped: reason → number of rows left out: "corrections", "cleaning", "missing",
            "rare_label". Reasons that left out no row are absent.
    """

    dataset: Dataset
    multi_label: bool
    notes: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)


def build_dataset(
    table: Table,
    columns: Columns,
    *,
    multi_label: bool | None = None,
    label_separator: str | None = None,
    missing: Literal["fail", "drop"] = "fail",
    drop_rare_labels: bool = False,
    leave_out: Mapping[str, Collection[int]] | None = None,
) -> LoadedData:
    """Texts and targets of a table; labels are alike whatever the file's format.

    Args:
        table: the data.
        columns: its text and target columns.
        multi_label: whether a row may have several labels. None decides by the column: lists,
            JSON arrays, or labels joined by | or ;.
        label_separator: what joins the labels of a row; implies several labels a row.
        missing: what to do with rows whose text or target is null, empty or not a number. A list
            without labels is not missing.
        drop_rare_labels: leave out rows with a label that no other row has.
        leave_out: reason → places, from 0, of rows to leave out whatever they hold.

    Raises:
        DataError: a column is missing, holds something else, or lacks values (with "fail").
        ConfigError: the settings contradict one another.
    """
    _check_separator(label_separator, multi_label)
    texts: list[Texts] = []
    missing_of: dict[str, NDArray[np.bool_]] = {}
    for name in columns.text:
        own, missing_of[name] = read_texts(table, name)
        texts.append(own)
    targets = Targets([], bool(multi_label))
    if columns.target is not None:
        targets = read_targets(
            table, columns.target, multi_label=multi_label, label_separator=label_separator
        )
        missing_of[columns.target] = np.array([value is None for value in targets.values], bool)
    notes = [*targets.notes]
    dropped: dict[str, int] = {}
    keep = np.ones(table.num_rows, dtype=bool)
    for reason, places_left in (leave_out or {}).items():
        _leave(keep, sorted(places_left), reason, _LEFT_OUT_WHY.get(reason, reason), dropped, notes)
    places = _missing_rows(missing_of, table, missing, keep)
    _leave(keep, places, "missing", "missing values", dropped, notes)
    if drop_rare_labels and columns.target is not None:
        rare = _rare_rows(targets.values, keep)
        _leave(keep, rare, "rare_label", "a label that no other row has", dropped, notes)
    kept = np.flatnonzero(keep)
    dataset = Dataset(
        columns=tuple(own.take(kept) for own in texts),
        targets=None if columns.target is None else _kept_targets(targets.values, kept.tolist()),
        rows=kept.astype(np.int64) + 1,
        source=table.source,
    )
    return LoadedData(dataset, targets.multi_label, tuple(notes), dropped)


def check_trainable(loaded: LoadedData) -> None:
    """Refuses data that no classifier can learn from.

    Raises:
        DataError: with all faults: no rows, fewer than two labels, labels with a single row,
            texts that are numbers.
    """
    dataset = loaded.dataset
    if not len(dataset):
        mend = "all were left out for missing values" if loaded.dropped.get("missing") else ""
        raise DataError("no rows are left to train on", where=dataset.source, mend=mend)
    faults = _text_faults(dataset)
    if dataset.targets is None:
        mend = "name the column that holds the answers with --target"
        faults.append(Fault("there is no target column", dataset.source, mend))
    else:
        faults += _label_faults(dataset.targets, loaded.multi_label, dataset.source)
    if faults:
        raise DataError.of(faults)


def labels_of(target: Target) -> tuple[str, ...]:
    """The labels of a target of either kind."""
    return (target,) if isinstance(target, str) else target


def _check_separator(label_separator: str | None, multi_label: bool | None) -> None:
    if label_separator is not None and (multi_label is False or not label_separator):
        raise ConfigError(
            "a label separator is set, and each row is said to have one label"
            if label_separator
            else "the label separator is empty",
            mend="set only one of data.label_separator and data.multi_label=false",
        )


def _missing_rows(
    missing_of: Mapping[str, NDArray[np.bool_]],
    table: Table,
    missing: Literal["fail", "drop"],
    keep: NDArray[np.bool_],
) -> list[int]:
    """Places of the rows that lack a value; with "fail", an error that names them."""
    faults: list[Fault] = []
    places: set[int] = set()
    for name, is_empty in missing_of.items():
        empty = np.flatnonzero(is_empty & keep).tolist()
        if empty:
            where = table.where([place + 1 for place in empty])
            what = f"column {name!r} is empty in {len(empty):,} of {table.num_rows:,} rows"
            faults.append(Fault(what, where, "--drop-missing leaves such rows out"))
        if empty and len(empty) == table.num_rows:
            mend = "name another column with --text or --target"
            raise DataError(f"column {name!r} is empty in all rows", where=table.source, mend=mend)
        places.update(empty)
    if faults and missing == "fail":
        raise DataError.of(faults)
    return sorted(places)


def _rare_rows(targets: Sequence[Target | None], keep: NDArray[np.bool_]) -> list[int]:
    """Places of rows with a label of their own; leaving one out may make another label rare."""
    left = keep.copy()
    rare: list[int] = []
    while True:
        labelled = [(p, labels_of(targets[p] or ())) for p in np.flatnonzero(left).tolist()]
        counts = Counter(label for _, labels in labelled for label in labels)
        found = [place for place, labels in labelled if any(counts[one] == 1 for one in labels)]
        if not found:
            return sorted(rare)
        rare += found
        left[found] = False


def _leave(
    keep: NDArray[np.bool_],
    places: Sequence[int],
    reason: str,
    why: str,
    dropped: dict[str, int],
    notes: list[str],
) -> None:
    """Leaves rows out, counts them and says so."""
    if places:
        keep[list(places)] = False
        dropped[reason] = len(places)
        rows = rows_text([place + 1 for place in places])
        notes.append(f"left out {len(places):,} of {len(keep):,} rows with {why}: {rows}")


def _kept_targets(values: Sequence[Target | None], kept: Sequence[int]) -> list[Target]:
    return [target for target in (values[place] for place in kept) if target is not None]


def _text_faults(dataset: Dataset) -> list[Fault]:
    faults = []
    for place, column in enumerate(dataset.columns, start=1):
        which = f"text column {place}" if len(dataset.columns) > 1 else "the text column"
        mend = "name the column that holds the texts with --text"
        if all(isinstance(value, str) and _NUMBER.fullmatch(value) for value in column):
            faults.append(Fault(f"all values of {which} are numbers", dataset.source, mend))
        elif len(column) > 1 and all(value == column[0] for value in column):
            faults.append(Fault(f"all values of {which} are the same", dataset.source, mend))
    return faults


def _label_faults(targets: Sequence[Target], multi_label: bool, source: str) -> list[Fault]:
    counts = Counter(label for target in targets for label in labels_of(target))
    alike = len(set(targets)) == 1
    if not counts or (alike if multi_label else len(counts) < 2):
        what = f"all rows have the same label: {listed(sorted(counts))}"
        if not counts:
            what = "no row has a label"
        mend = "add rows with other labels, or name another column with --target"
        return [Fault(what, source, mend)]
    single = sorted(label for label, count in counts.items() if count == 1)
    if not single:
        return []
    verb = "has" if len(single) == 1 else "have"
    what = f"{len(single):,} of {len(counts):,} labels {verb} a single row: {listed(single)}"
    mend = "add rows"
    if len(counts) - len(single) > 1:
        mend += ", or leave these out with --set data.drop_rare_labels=true"
    if len(single) > len(counts) / 2 and len(counts) > 20:
        mend = f"name the column that holds the labels with --target; or {mend}"
    return [Fault(what, source, mend)]
