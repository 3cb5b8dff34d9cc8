"""Which rows are learned from, and which are held out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import Subject
from tunesmith.config import DataConfig
from tunesmith.data import (
    Split,
    Table,
    labels_of,
    rows_text,
    source_name,
    split_by_time,
    split_dataset,
    times_of,
)
from tunesmith.errors import ConfigError, DataError
from tunesmith.recipes._listener import Listener
from tunesmith.types import Dataset

__all__ = ["groups_of", "held_out_how", "kinship", "split_rows", "validation_fraction"]

_VALIDATION_FRACTION, _MOST_VALIDATION_FRACTION = 0.1, 0.25
_FEWEST_VALIDATION_ROWS, _MOST_VALIDATION_ROWS = 200, 500
_LARGEST_GROUP = 0.05


def split_rows(
    subject: Subject, table: Table, dataset: Dataset, config: DataConfig, seed: int,
    listener: Listener,
) -> Split:  # fmt: skip
    """Holds rows out for validation and test, where no files with such rows are given.

    Args:
        subject: the rows that the dataset was made of.
        table: the same rows as the file has them, with group and time of each.

    Raises:
        ConfigError: the settings contradict one another.
        DataError: a column is not there or lacks values, or there are too few rows.
    """
    if config.group is not None and config.time is not None:
        raise ConfigError(
            "rows are split either by group or by time",
            where="data.group, data.time",
            mend="take one of them away, or give a test file of your own with --test",
        )
    test = 0.0 if config.test is not None else config.test_fraction
    validation = validation_fraction(config, len(dataset))
    if config.time is not None:
        times = times_of(table, config.time, dataset)
        split = split_by_time(dataset, times, validation=validation, test=test)
        _say_what_is_new(split, config.time, listener)
        return split
    owners, links = None, None
    if validation or test:
        owners, links = kinship(subject, table, dataset, config, listener)
    return split_dataset(
        dataset,
        validation=validation,
        test=test,
        seed=seed,
        stratified=config.split == "stratified",
        owners=owners,
        links=links,
    )


def kinship(
    subject: Subject, table: Table, dataset: Dataset, config: DataConfig, listener: Listener
) -> tuple[list[bytes] | None, NDArray[np.int64] | None]:
    """What of n rows belongs together, as `split_dataset` takes it.

    Args:
        subject, table: see `split_rows`.

    Returns:
        The owner of each row, where a column names it; int64 [pairs, 2], rows that are
        near-duplicates, where those stay together.

    Raises:
        DataError: the column is not there or lacks values.
    """
    return (
        None if config.group is None else _owners(table, config.group, dataset),
        _links(subject, dataset, listener) if config.near_duplicates == "together" else None,
    )


def groups_of(table: Table, column: str, dataset: Dataset) -> NDArray[np.int64]:
    """Which rows of a dataset belong together, int64 [n].

    Args:
        table: what the dataset was made of.

    Raises:
        DataError: the column is not there or lacks values.
    """
    owners = _owners(table, column, dataset)
    return np.unique(np.array(owners, dtype=object), return_inverse=True)[1].astype(np.int64)


def held_out_how(config: DataConfig, seed: int) -> str:
    """How the test rows were come by, for the report."""
    name = source_name(config.source)
    if config.time is not None:
        return f"the latest {config.test_fraction:.0%} of {name} by {config.time!r}"
    by = "text" if config.group is None else repr(config.group)
    alike = ", labels spread alike" if config.split == "stratified" else ""
    return f"{config.test_fraction:.0%} of {name}, held out by {by}{alike}, seed {seed}"


def validation_fraction(config: DataConfig, num_rows: int) -> float:
    """The share of n rows that is held out for validation; 0 where a file is given for it."""
    if config.validation is not None:
        return 0.0
    if config.validation_fraction is not None:
        return config.validation_fraction
    rows = max(num_rows, 1)
    enough = min(_FEWEST_VALIDATION_ROWS / rows, _MOST_VALIDATION_FRACTION)
    return min(max(_VALIDATION_FRACTION, enough), _MOST_VALIDATION_ROWS / rows)


def _owners(table: Table, column: str, dataset: Dataset) -> list[bytes]:
    values = table.column(column)
    owners = [values[row - 1] for row in dataset.rows.tolist()]
    lacking = [
        row for row, owner in zip(dataset.rows.tolist(), owners, strict=True) if owner is None
    ]
    if lacking:
        raise DataError(
            f"column {column!r} is empty in {rows_text(lacking)}",
            where=table.source,
            mend="say what these rows belong to; one that stands alone gets a value of its own",
        )
    return [str(owner).encode("utf-8", "surrogatepass") for owner in owners]


def _links(subject: Subject, dataset: Dataset, listener: Listener) -> NDArray[np.int64]:
    """What links near-duplicates, but for chains of them that are a large part of the data."""
    listener.stage("looking for near-duplicates")
    places, starts = subject.near_rows
    sizes = np.diff(starts)
    is_long = sizes > max(_LARGEST_GROUP * len(dataset), 20)
    for group in np.flatnonzero(is_long).tolist():
        listener.say(
            f"{sizes[group]:,} rows are near-duplicates in one chain, such as "
            f"{rows_text((places[starts[group] :][:3] + 1).tolist())}: "
            "too many to keep on one side"
        )
    pairs = np.stack([np.repeat(places[starts[:-1]], sizes), places], axis=1)
    pairs = pairs[np.repeat(~is_long, sizes)]
    # Of the rows of the table some are not in the dataset.
    number = np.full(subject.num_rows, -1, dtype=np.int64)
    number[dataset.rows - 1] = np.arange(len(dataset))
    links = number[pairs]
    return np.asarray(links[(links >= 0).all(axis=1)])


def _say_what_is_new(split: Split, column: str, listener: Listener) -> None:
    """Labels that only the later parts have: no training row shows what they are."""
    known, *later_parts = (
        {label for target in part.targets or () for label in labels_of(target)}
        for part in (split.train, split.validation, split.test)
        if part is not None
    )
    later = set().union(*later_parts)
    if later - known:
        names = ", ".join(repr(name) for name in sorted(later - known)[:10])
        listener.warn(f"labels that no row had before the held-out ones ({column!r}): {names}")
