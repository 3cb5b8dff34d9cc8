"""Which rows are learned from, and which are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import Subject, connected, near_links
from tunesmith.config import DataConfig
from tunesmith.data import (
    Split,
    Table,
    rows_text,
    source_name,
    split_by_time,
    split_dataset,
    times_of,
)
from tunesmith.errors import ConfigError, DataError
from tunesmith.recipes._listener import Listener
from tunesmith.types import Dataset

__all__ = ["held_out_how", "split_rows"]

_VALIDATION_FRACTION, _MOST_VALIDATION_FRACTION = 0.1, 0.2
_FEWEST_VALIDATION_ROWS, _MOST_VALIDATION_ROWS = 100, 500
_LARGEST_GROUP = 0.05


@dataclass(frozen=True, slots=True)
class _Shares:
    validation: float
    test: float


def split_rows(
    table: Table, text: tuple[str, ...], dataset: Dataset, config: DataConfig, seed: int,
    listener: Listener,
) -> Split:  # fmt: skip
    """Holds rows out for validation and test, where no files with such rows are given.

    Args:
        table: what the dataset was made of.
        text: its text columns.

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
    shares = _Shares(
        0.0 if config.validation is not None else _validation_fraction(config, len(dataset)),
        0.0 if config.test is not None else config.test_fraction,
    )
    if config.time is not None:
        times = times_of(table, config.time, dataset)
        split = split_by_time(dataset, times, validation=shares.validation, test=shares.test)
        _say_what_is_new(split, config.time, listener)
        return split
    is_split = shares.validation > 0 or shares.test > 0
    return split_dataset(
        dataset,
        validation=shares.validation,
        test=shares.test,
        seed=seed,
        stratified=config.split == "stratified",
        owners=None if config.group is None else _owners(table, config.group, dataset),
        links=_links(table, text, dataset, listener)
        if config.near_duplicates == "together" and is_split
        else None,
    )


def held_out_how(config: DataConfig, seed: int) -> str:
    """How the test rows were come by, for the report."""
    name = source_name(config.source)
    if config.time is not None:
        return f"the latest {config.test_fraction:.0%} of {name} by {config.time!r}"
    by = "text" if config.group is None else repr(config.group)
    alike = ", labels spread alike" if config.split == "stratified" else ""
    return f"{config.test_fraction:.0%} of {name}, held out by {by}{alike}, seed {seed}"


def _validation_fraction(config: DataConfig, num_rows: int) -> float:
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


def _links(
    table: Table, text: tuple[str, ...], dataset: Dataset, listener: Listener
) -> NDArray[np.int64]:
    """What links near-duplicates, but for chains of them that are a large part of the data."""
    listener.stage("looking for near-duplicates")
    links = near_links(Subject(table, text), dataset.rows - 1)
    most = max(_LARGEST_GROUP * len(dataset), 20)
    for group in connected(links):
        if len(group) > most:
            listener.say(
                f"{len(group):,} rows are near-duplicates in one chain, such as "
                f"{rows_text(dataset.rows[group[:3]].tolist())}: too many to keep on one side"
            )
            links = links[~np.isin(links[:, 0], group)]
    return links


def _say_what_is_new(split: Split, column: str, listener: Listener) -> None:
    """Labels that only the later parts have: no training row shows what they are."""
    known = _labels(split.train)
    later = _labels(split.validation) | (set() if split.test is None else _labels(split.test))
    if later - known:
        names = ", ".join(repr(name) for name in sorted(later - known)[:10])
        listener.warn(f"labels that no row had before the held-out ones ({column!r}): {names}")


def _labels(dataset: Dataset) -> set[str]:
    targets = dataset.targets or ()
    return {one for t in targets for one in ((t,) if isinstance(t, str) else t)}
