"""Some of the parent's training rows, mixed into the new ones so that less of the old is forgotten.

Rehearsal, the oldest remedy for forgetting (Robins 1995, "Catastrophic forgetting, rehearsal and
pseudorehearsal", Connection Science 7); a few per cent of old rows keep most of what a fine-tuned
language model could do (Scialom et al. 2022, arXiv:2205.12393).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.bundles import read_rows
from tunesmith.config import DataConfig, redact
from tunesmith.data import Split, fingerprint, overlap, read_table, source_name
from tunesmith.errors import DataError
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import Parent, reshaped
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._sampling import joined, stratified_sample
from tunesmith.tasks import Task
from tunesmith.types import Dataset

__all__ = ["Replay", "mix_in", "parent_rows"]


@dataclass(frozen=True, slots=True)
class Replay:
    """A split whose training part has old rows too, and what is known of these."""

    split: Split
    facts: Mapping[str, Any]


def mix_in(
    parent: Parent,
    task: Task,
    target: str,
    split: Split,
    config: DataConfig,
    seed: int,
    listener: Listener,
) -> Replay:
    """Adds old rows to the training part, `config.replay` times as many as it has.

    Rows whose text is among the new ones are passed over: in validation and test they would make
    the figures look better than they are, and in training they are there already.

    Args:
        target: what the new data's target column is called.

    Raises:
        DataError: there are no old rows, or they cannot be used.
    """
    source = config.replay_from
    old = _named_rows(parent, task, target, config) if source else parent_rows(parent)
    parts = (split.train, split.validation, split.test)
    seen = {row for part in parts if part is not None for _, row in overlap(part, old)}
    fresh = old.take(np.flatnonzero([row not in seen for row in old.rows.tolist()]))
    name = source_name(source) if source else "the base's training rows"
    if not len(fresh):
        raise DataError(
            "there is no row to replay whose text is not among the new rows",
            where=redact(source or "") or str(parent.train_rows),
            mend="leave out --replay, or name other rows with --replay-from",
        )
    wanted = max(1, round(config.replay * len(split.train)))
    chosen = fresh.take(stratified_sample(fresh, wanted, seed))
    short = "" if len(chosen) == wanted else f" ({wanted:,} were asked for)"
    listener.say(
        f"{len(chosen):,} of {len(old):,} old rows are replayed{short}, "
        f"beside {len(split.train):,} new ones: {name}"
    )
    facts = {"rows": len(chosen), "source": name, "fingerprint": fingerprint(chosen)}
    return Replay(replace(split, train=joined(split.train, chosen)), facts)


def parent_rows(parent: Parent) -> Dataset:
    """The rows that the parent was trained on.

    Raises:
        DataError: its run did not keep them, or the bundle was moved away from them.
    """
    file = parent.train_rows
    if not file.is_file():
        raise DataError(
            "the rows that the base was trained on are not beside its bundle",
            where=str(file),
            mend="name a file with such rows: --replay-from FILE",
        )
    names = [field.name for field in parent.task.fields]
    return read_rows(file, names, parent.bundle.manifest.data["target"])


def _named_rows(parent: Parent, task: Task, target: str, config: DataConfig) -> Dataset:
    """Those of `config.replay_from`, whose columns are called as in the new data or as in the old.

    Args:
        target: what the new data's target column is called.
    """
    source = str(config.replay_from)
    names = set(read_table(source).column_names)
    as_new = {field.name for field in task.fields} <= names
    loaded, _ = dataset_for(
        reshaped(task, fields=task.fields if as_new else parent.task.fields),
        source,
        target=target if target in names else parent.bundle.manifest.data["target"],
        drop_missing=config.drop_missing,
        separator=config.label_separator,
    )
    return loaded.dataset
