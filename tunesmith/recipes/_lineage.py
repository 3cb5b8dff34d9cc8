"""Where the base is a bundle: what its child takes over of its labels, its columns and its head."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from tunesmith.bases import Base
from tunesmith.bundles import Bundle, open_bundle
from tunesmith.config import RunConfig
from tunesmith.data import Table
from tunesmith.errors import ConfigError, DataError, Fault
from tunesmith.tasks import Field, MultiLabelClassification, Task, TextClassification
from tunesmith.training import fit_added_labels
from tunesmith.types import Target

__all__ = [
    "Parent",
    "find_parent",
    "inherit_task",
    "inherited_head",
    "inherited_notes",
    "reshaped",
    "train_rows_of",
]

Labels: TypeAlias = Literal["keep", "extend", "new"]

_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Parent:
    """The bundle that training starts from, and what becomes of its labels."""

    bundle: Bundle
    labels: Labels

    @property
    def task(self) -> Task:
        """What the parent does."""
        return self.bundle.task

    @property
    def keeps_head(self) -> bool:
        """Whether the child goes on with the parent's labels and head."""
        return self.labels != "new"

    @property
    def train_rows(self) -> Path:
        """Where the parent's run kept its training rows; absent where the bundle was moved."""
        return train_rows_of(self.bundle)

    def columns_in(
        self, table: Table, text: Sequence[str], target: str | None
    ) -> tuple[tuple[str, ...], str | None]:
        """The columns to read: those that the user named, else the parent's where they are there.

        Args:
            text, target: what the user named; empty and None where nothing was named.
        """
        known = table.column_names
        names = tuple(field.name for field in self.task.fields)
        if not text and set(names) <= set(known):
            text = names
        own = str(self.bundle.manifest.data["target"])
        if target is None and own in known and own not in text:
            target = own
        return tuple(text), target


def train_rows_of(bundle: Bundle) -> Path:
    """Where a bundle's run kept its training rows; absent where the bundle was moved."""
    return bundle.path.parent / "rows" / "train.parquet"


def find_parent(base: Base, config: RunConfig) -> Parent | None:
    """The bundle that the base is; None where it is a plain model.

    Raises:
        ConfigError: settings ask for what only a bundle has, or contradict one another.
    """
    settings, data = config.base, config.data
    faults: list[Fault] = []
    if base.parent is None:
        mend = "name a bundle with --base, or leave this out"
        if settings.labels == "extend":
            faults.append(Fault("the base has no labels to extend", "base.labels", mend))
        if data.replay:
            faults.append(Fault("the base has no rows to replay", "data.replay", mend))
        if faults:
            raise ConfigError.of(faults)
        return None
    if settings.labels == "new":
        if data.replay:
            what = "a new head does not know the labels of the rows to replay"
            faults.append(Fault(what, "data.replay", "leave out --replay or --new-labels"))
    elif settings.pooling not in ("auto", base.pooling):
        what = f"the head that is kept was trained on {base.pooling} pooling"
        faults.append(Fault(what, "base.pooling", "leave it out, or --new-labels"))
    if faults:
        raise ConfigError.of(faults)
    # `find_base` has verified the bundle a moment ago.
    return Parent(open_bundle(base.path.parent, verify=False), settings.labels)


def inherit_task(parent: Parent, task: Task, targets: Sequence[Target], source: str) -> Task:
    """The child's task: the parent's labels, extended if so wished, over the new data's columns.

    Args:
        task: what the new data alone would make.
        targets: the new data's.
        source: what it is called in errors.

    Raises:
        DataError: the data does not fit the parent's fields, kind or labels; all faults at once.
    """
    old = parent.task
    faults = _shape_faults(old, task, source)
    added = tuple(label for label in task.labels if label not in old.labels)
    if added and parent.labels == "keep" and old.name == task.name:
        faults.append(_unknown_labels(old, added, targets, source))
    if faults:
        raise DataError.of(faults)
    return reshaped(task, labels=(*old.labels, *added))


def reshaped(
    task: Task, *, fields: tuple[Field, ...] | None = None, labels: tuple[str, ...] | None = None
) -> Task:
    """The same kind of task over other fields or labels; it has no thresholds yet."""
    kind = type(task)
    assert kind in (MultiLabelClassification, TextClassification)
    return kind(fields or task.fields, labels or task.labels)


def inherited_notes(parent: Parent, task: Task, own_labels: Sequence[str]) -> list[str]:
    """What the user should know of a task that `inherit_task` made.

    Args:
        own_labels: those that have rows in the new data.
    """
    old = parent.task
    added = task.labels[len(old.labels) :]
    absent = [label for label in old.labels if label not in own_labels]
    kept = f"the {len(old.labels)} labels and the head of the base bundle {parent.bundle.version}"
    notes = [f"training goes on with {kept}"]
    if added:
        notes.append(f"labels that are added: {_listed(added)}")
    if absent:
        notes.append(
            f"{len(absent)} of the parent's {len(old.labels)} labels have no row in the new data, "
            f"and are kept: {_listed(absent)}"
        )
    renamed = [
        f"{new.name!r} is read as the parent's {before.name!r}"
        for new, before in zip(task.fields, old.fields, strict=True)
        if new.name != before.name
    ]
    return [*notes, *renamed]


def inherited_head(
    parent: Parent | None, task: Task, features: NDArray[np.float32], targets: NDArray[Any]
) -> tuple[Tensor, Tensor] | None:
    """The head that fine-tuning goes on from; None where it begins with a new one.

    The rows of the parent's labels are the parent's. Those of added labels are fitted on the
    frozen base while the others stay as they are: from zeros the first steps would pull the base's
    features away from the old labels to make room for the new ones.

    Args:
        task: the child's; its labels begin with the parent's.
        features: float32 [n, hidden], of the training rows.
        targets: as `task` encodes them.

    Returns:
        Weight [labels, hidden] and bias [labels], float32.
    """
    if parent is None or not parent.keeps_head:
        return None
    head = load_file(str(parent.bundle.head_path))
    weight, bias = head["weight"], head["bias"]
    if len(bias) == len(task.labels):
        return weight, bias
    return fit_added_labels(features, targets, weight, bias, task.head.size, task.objective)


def _shape_faults(old: Task, task: Task, source: str) -> list[Fault]:
    faults: list[Fault] = []
    if len(old.fields) != len(task.fields):
        what = f"{_texts(task)} a row are named, and the base was trained on {_texts(old)} a row"
        mend = f"name {_texts(old)} with --text, or --new-labels begins with a new head"
        faults.append(Fault(what, source, mend))
    if old.name != task.name:
        many = isinstance(old, MultiLabelClassification)
        what = (
            "the rows have one label each, and the base was trained for several"
            if many
            else "the rows have several labels each, and the base was trained for one"
        )
        setting = f"--set data.multi_label={str(many).lower()} reads them as the base does"
        faults.append(Fault(what, source, f"{setting}; or --new-labels begins with a new head"))
    return faults


def _texts(task: Task) -> str:
    return "one text" if len(task.fields) == 1 else f"{len(task.fields)} texts"


def _unknown_labels(
    old: Task, added: Sequence[str], targets: Sequence[Target], source: str
) -> Fault:
    counts = Counter(
        label for one in targets for label in ((one,) if isinstance(one, str) else one)
    )
    named = [f"{label!r} ({counts[label]:,}×)" for label in added]
    folded = {label.casefold(): label for label in old.labels}
    meant = [
        f"did you mean {folded[near[0]]!r} for {label!r}?"
        for label in added
        if (near := difflib.get_close_matches(label.casefold(), folded, n=1, cutoff=0.75))
    ]
    return Fault(
        f"labels that the base was not trained for: {_joined(named)}",
        source,
        " ".join([*meant[:3], "--extend-labels adds them; --new-labels begins with a new head"]),
    )


def _listed(labels: Sequence[str]) -> str:
    return _joined([repr(label) for label in labels])


def _joined(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_LISTED])
    rest = len(names) - _MOST_LISTED
    return f"{shown} and {rest:,} more" if rest > 0 else shown
