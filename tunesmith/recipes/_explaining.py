"""What is to be explained: texts, files, and the training rows beside them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunesmith.bundles import Bundle, read_rows
from tunesmith.data import choose_columns, read_table
from tunesmith.errors import ConfigError, DataError
from tunesmith.explanation import METHODS
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import train_rows_of
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.tasks import Task
from tunesmith.types import Dataset

__all__ = ["Notes", "check_asked", "find_examples", "given", "held_out_of", "joined", "of_file"]

_MOST_EXAMPLES = 5_000


class Notes:
    """Passes on what is said, and keeps it for the page."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener or Silent()
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        self.notes.append(text)
        self._listener.say(text)

    def warn(self, text: str) -> None:
        self.notes.append(text)
        self._listener.warn(text)

    def stage(self, title: str, total: int) -> None:
        self._listener.stage(title, total)

    def advance(self, rows: int) -> None:
        self._listener.advance(rows)


def check_asked(task: Task, label: str | None, method: str) -> None:
    """Checks that method and label are known.

    Raises:
        ConfigError: one of them is not.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}", mend=f"methods: {', '.join(METHODS)}")
    if label is not None and label not in task.labels:
        near = difflib.get_close_matches(label, task.labels, 1)
        shown = ", ".join(task.labels[:20]) + (" …" if len(task.labels) > 20 else "")
        mend = f"did you mean {near[0]!r}?" if near else f"labels: {shown}"
        raise ConfigError(f"the model has no label {label!r}", mend=mend)


def given(task: Task, items: Sequence[object]) -> Dataset:
    """Items as `Runtime.predict` takes them, as examples without a row.

    Raises:
        DataError: an item does not fit the task, or has no word.
    """
    if isinstance(items, str):
        raise DataError("give a list of texts, not one text", mend=f"[{items[:40]!r}]")
    inputs = [task.read(item) for item in items]
    for number, one in enumerate(inputs, start=1):
        if not any(str(text).strip() for text in one):
            raise DataError("has no word to explain", where=f"text {number}")
    columns = tuple([one[place] for one in inputs] for place in range(len(task.fields)))
    return Dataset(columns, None, np.zeros(len(inputs), dtype=np.int64))


def of_file(task: Task, file: Path | str | None, max_rows: int, told: Notes) -> Dataset | None:
    """The rows of a file that have text, or as many as are wanted of them; None without a file.

    Raises:
        DataError: it cannot be read, or no row has text.
    """
    if file is None:
        return None
    table = read_table(file)
    names = [field.name for field in task.fields]
    columns = choose_columns(table, text=names, with_target=False)
    for note in table.notes:
        told.say(note)
    texts = [
        ["" if value is None else str(value) for value in table.column(name)]
        for name in columns.text
    ]
    rows = [row for row, own in enumerate(zip(*texts, strict=True)) if all(map(str.strip, own))]
    if not rows:
        raise DataError(
            f"no row has text in {' and '.join(map(repr, columns.text))}",
            where=table.source,
            mend="fill the column, or give another file",
        )
    if len(rows) > max_rows:
        told.warn(f"the first {max_rows:,} of {len(rows):,} rows are explained")
    rows = rows[:max_rows]
    chosen = tuple([column[row] for row in rows] for column in texts)
    return Dataset(chosen, None, np.array(rows, dtype=np.int64) + 1, table.source)


def joined(first: Dataset, second: Dataset | None) -> Dataset:
    """The examples of both.

    Raises:
        DataError: there are none.
    """
    if second is None:
        if not len(first):
            raise DataError("there is no text to explain", mend="give texts, or a file")
        return first
    return Dataset(
        tuple([*a, *b] for a, b in zip(first.columns, second.columns, strict=True)),
        None,
        np.concatenate([first.rows, second.rows]),
        second.source,
    )


def find_examples(bundle: Bundle, source: Path | str | None, told: Notes) -> Dataset | None:
    """The training rows, or some of them where they are many; None where there are none."""
    facts = bundle.manifest.data
    if source is not None:
        separator = bundle.manifest.config["data"]["label_separator"]
        loaded, _ = dataset_for(
            bundle.task,
            str(source),
            target=facts["target"],
            drop_missing=True,
            separator=separator,
        )
        found = loaded.dataset
    elif train_rows_of(bundle).is_file():
        try:
            found = read_rows(train_rows_of(bundle), facts["text"], facts["target"])
        except DataError as error:  # another user's, or damaged: explanations do without
            told.warn(str(error.faults[0].what))
            return None
    else:
        told.say("no training rows beside the bundle: no nearest examples (--examples names some)")
        return None
    if len(found) > _MOST_EXAMPLES:
        told.say(f"nearest examples are looked for among {_MOST_EXAMPLES:,} of {len(found):,} rows")
        found = found.take(stratified_sample(found, _MOST_EXAMPLES, 0))
    return found


def held_out_of(bundle: Bundle) -> Dataset:
    """The test rows that a bundle keeps.

    Raises:
        DataError: it keeps none.
    """
    rows = bundle.held_out()
    if rows is None:
        raise DataError(
            "the bundle keeps no test rows",
            where=str(bundle.path),
            mend="name labelled rows with --data",
        )
    return rows
