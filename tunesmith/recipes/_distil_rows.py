"""What a student learns from: the rows that its teacher's run kept, and further texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bundles import Bundle, read_rows
from tunesmith.data import choose_columns, overlap, read_table, source_name
from tunesmith.errors import DataError
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import train_rows_of
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._sampling import joined, stratified_sample
from tunesmith.types import Dataset

__all__ = ["DistilRows", "distil_rows"]

_FEWEST = 4
_VALIDATION_SHARE, _VALIDATION_ROWS = 0.15, (20, 500)


@dataclass(frozen=True, slots=True)
class DistilRows:
    """Rows that have no text in common.

    Attributes:
        train: with labels.
        unlabelled: texts that the teacher alone says something of; may be empty.
        validation: with labels; they choose the epoch, and calibrate the student.
        seen_by_teacher: whether the teacher has learned from the validation rows. The student,
            which begins with its teacher's weights, then knows them too: they choose no epoch, and
            nothing that promises how often it is right can be fitted on them.
        facts: what the manifest says of them.
    """

    train: Dataset
    unlabelled: Dataset
    validation: Dataset
    seen_by_teacher: bool
    facts: dict[str, Any]


def distil_rows(
    bundle: Bundle,
    source: Path | str | None,
    judged: Sequence[Dataset],
    seed: int,
    listener: Listener,
) -> DistilRows:
    """Finds the rows, and leaves out of them those that the student is judged on.

    Where the teacher's run kept no validation rows, some of the others are held out.

    Args:
        source: further texts; where the file has the label's column, rows with a label are used
            with it.
        judged: rows that no student may have seen.

    Raises:
        DataError: there are no labelled rows to learn from, or `source` cannot be used.
    """
    file = train_rows_of(bundle)
    kept, chosen_by = (_read(bundle, own) for own in (file, file.with_name("validation.parquet")))
    labelled, unlabelled = (None, None) if source is None else _further(bundle, str(source))
    train = _both(kept, labelled, judged, listener)
    validation = None if chosen_by is None else _without(chosen_by, *judged)
    if validation is not None and train is not None:
        train = _without(train, validation)
    if train is None:
        raise DataError(
            "there are no labelled rows for a student to learn from: the run's rows/ are not "
            "beside the bundle",
            where=str(file),
            mend="--distil-data FILE with texts and labels",
        )
    if len(train) < _FEWEST:
        raise DataError(
            f"{len(train)} labelled rows are left for a student to learn from, beside those that "
            "it is judged on",
            where=str(file),
            mend="--distil-data FILE with further ones; or judge on others with --data",
        )
    seen = "refit_rows" in bundle.manifest.data
    if validation is None or not len(validation):
        seen = True
        train, validation = _held_out(train, seed)
        listener.say(f"{len(validation):,} of these rows are held out for validation")
    if unlabelled is None:
        unlabelled = train.take([])
    unlabelled = _without(unlabelled, *judged, train, validation)
    besides = f", {len(unlabelled):,} texts without a label" if len(unlabelled) else ""
    listener.say(
        f"students learn from {len(train):,} rows{besides}; {len(validation):,} validation rows"
    )
    found: dict[str, Any] = {"train": len(train), "validation": len(validation)}
    if source is not None:
        found |= {"unlabelled": len(unlabelled), "source": source_name(str(source))}
    return DistilRows(train, unlabelled, validation, seen, found)


def _read(bundle: Bundle, file: Path) -> Dataset | None:
    facts = bundle.manifest.data
    try:
        return read_rows(file, facts["text"], facts["target"])
    except DataError:  # not there, or another user's
        return None


def _further(bundle: Bundle, source: str) -> tuple[Dataset | None, Dataset]:
    """A file's rows with a label, and its texts without one."""
    task, target = bundle.task, bundle.manifest.data["target"]
    table = read_table(source)
    columns = choose_columns(table, text=[own.name for own in task.fields], with_target=False)
    labelled = None
    if target in table.column_names and any(
        value not in (None, "") for value in table.values(target)
    ):
        separator = bundle.manifest.config["data"]["label_separator"]
        loaded, _ = dataset_for(task, source, target=target, drop_missing=True, separator=separator)
        labelled = loaded.dataset
    values = [["" if v is None else str(v) for v in table.values(name)] for name in columns.text]
    known = set() if labelled is None else set(labelled.rows.tolist())
    rows = [
        row
        for row, texts in enumerate(zip(*values, strict=True), start=1)
        if row not in known and all(text.strip() for text in texts)
    ]
    texts = tuple([column[row - 1] for row in rows] for column in values)
    return labelled, Dataset(texts, None, np.array(rows, dtype=np.int64), table.source)


def _both(
    kept: Dataset | None, labelled: Dataset | None, judged: Sequence[Dataset], listener: Listener
) -> Dataset | None:
    """The labelled rows of both, but for those that students are judged on."""
    parts = [part for part in (kept, labelled) if part is not None]
    clean = [_without(part, *judged) for part in parts]
    lost = sum(map(len, parts)) - sum(map(len, clean))
    if lost:
        listener.say(f"{lost:,} rows with a text that is judged on are not learned from")
    if len(clean) == 2:
        return _numbered(joined(clean[0], _without(clean[1], clean[0])))
    return _numbered(clean[0]) if clean else None


def _without(rows: Dataset, *others: Dataset) -> Dataset:
    """The rows whose text stands in none of the others."""
    shared = [row for other in others if len(other) for _, row in overlap(other, rows)]
    return rows.take(np.flatnonzero(~np.isin(rows.rows, np.array(shared, dtype=np.int64))))


def _held_out(rows: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    few, many = _VALIDATION_ROWS
    size = min(max(few, round(_VALIDATION_SHARE * len(rows))), many, len(rows) // 2)
    places = stratified_sample(rows, size, seed)
    rest = np.setdiff1d(np.arange(len(rows)), places)
    return rows.take(rest), rows.take(places)


def _numbered(rows: Dataset) -> Dataset:
    """The same rows with numbers of their own, by which they can be told apart."""
    return Dataset(rows.columns, rows.targets, np.arange(1, len(rows) + 1), rows.source)
