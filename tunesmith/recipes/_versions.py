"""What changed in the data since the version that the base was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tunesmith.bundles import read_rows
from tunesmith.data import compare
from tunesmith.errors import DataError
from tunesmith.recipes._lineage import Parent, train_rows_of
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._sampling import joined
from tunesmith.types import Dataset

__all__ = ["with_changes"]


def with_changes(data: PreparedData, parent: Parent | None, listener: Listener) -> PreparedData:
    """The same data; says, and notes for the report, how its rows differ from the parent's.

    Nothing is said where the parent's run did not keep its rows, or the columns are others.
    """
    try:
        before = None if parent is None else _parent_rows(parent)
    except DataError as error:  # nothing else needs them
        listener.warn(f"what changed in the data is not known: {error.faults[0]}")
        return data
    if before is None:
        return data
    parts = (data.split.train, data.split.validation, data.split.test)
    after = _all_rows(*(part for part in parts if part is not None and len(part)))
    if len(before.columns) != len(after.columns):
        return data
    changes = compare(before, after)
    said = f"since the data of the base bundle: {changes.sentence()}"
    listener.say(said)
    facts = {
        **data.facts,
        "changes": changes.counts(),
        "notes": [*data.facts["notes"], said],
    }
    return replace(data, facts=facts)


def _parent_rows(parent: Parent) -> Dataset | None:
    """Every row that the parent's run knew; None where they are not beside its bundle."""
    train = train_rows_of(parent.bundle)
    # Where the model learned from the validation rows too, they are among the training rows.
    has_both = "refit_rows" in parent.bundle.manifest.data
    files = [train] if has_both else [train, train.with_name("validation.parquet")]
    if not all(file.is_file() for file in files):
        return None
    names = [field.name for field in parent.task.fields]
    target = parent.bundle.manifest.data["target"]
    parts = [read_rows(file, names, target) for file in files]
    held_out = parent.bundle.held_out()
    return _all_rows(*parts, *([] if held_out is None else [held_out]))


def _all_rows(*parts: Dataset) -> Dataset:
    whole = parts[0]
    for part in parts[1:]:
        whole = joined(whole, part)
    return replace(whole, rows=np.arange(1, len(whole) + 1))
