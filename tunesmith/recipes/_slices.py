"""Slices and groups of the test rows, by columns that the model does not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.config import EvaluationConfig
from tunesmith.data import Columns, Table, missing_column, read_table
from tunesmith.errors import ConfigError, DataError
from tunesmith.evaluation import (
    Fairness,
    Slices,
    WeakSlices,
    find_weak_slices,
    judge_fairness,
    judge_slices,
)
from tunesmith.recipes._listener import Listener

if TYPE_CHECKING:
    from tunesmith.recipes._examine import Examined

__all__ = [
    "check_extra",
    "extra_columns",
    "extra_names",
    "fairness",
    "slices",
    "weak_slices",
]


def slices(subject: Examined, listener: Listener) -> Slices | None:
    """How good the model is by length, language, label, sureness, and the columns named."""
    listener.stage("slices")
    return judge_slices(
        subject.task,
        subject.dataset,
        subject.targets,
        subject.probabilities,
        columns=_columns(subject),
        **_drawing(subject),
    )


def weak_slices(subject: Examined, listener: Listener) -> WeakSlices | None:
    """Where mistakes gather, found by a search."""
    listener.stage("searching for weak slices")
    return find_weak_slices(
        subject.task,
        subject.dataset,
        subject.targets,
        subject.probabilities,
        columns=_columns(subject),
        **_drawing(subject),
    )


def fairness(subject: Examined, listener: Listener) -> Fairness | None:
    """What the model does to the groups of the column that the settings name."""
    column = subject.settings.fairness
    if column is None or column not in subject.extra:
        return None
    found = judge_fairness(
        subject.task,
        subject.targets,
        subject.probabilities,
        column,
        subject.extra[column],
        **_drawing(subject),
    )
    if found is None:
        listener.warn(f"column {column!r}: fewer than two groups have enough test rows to compare")
    return found


def extra_names(settings: EvaluationConfig) -> tuple[str, ...]:
    """The columns that the settings name beside those that the model reads."""
    named = [*settings.slices, *([settings.fairness] if settings.fairness is not None else [])]
    return tuple(dict.fromkeys(named))


def check_extra(names: Sequence[str], columns: Columns) -> None:
    """Refuses columns that are looked at by themselves.

    Raises:
        ConfigError: a column named is a text that the model reads, or holds the labels.
    """
    taken = [name for name in names if name in (*columns.text, columns.target)]
    if taken:
        raise ConfigError(
            f"column {taken[0]!r} is the text or the label, which are looked at in any case",
            where="evaluation.slices, evaluation.fairness",
            mend="name other columns, or none",
        )


def extra_columns(
    source: Table | str, names: Sequence[str], rows: NDArray[Any]
) -> dict[str, Sequence[object]]:
    """The values of some columns in some rows; nothing else becomes objects of Python.

    Args:
        source: a table, or a file that is read for them.
        names: of the columns; nothing is read where there are none.
        rows: int64 [n], numbered from 1, as `Dataset.rows` has them.

    Returns:
        Name → n values, in the order of `rows`; None where a row has none.

    Raises:
        DataError: a column does not exist.
    """
    if not names:
        return {}
    table = read_table(source) if isinstance(source, str) else source
    missing = [missing_column(name, table) for name in names if name not in table.column_names]
    if missing:
        raise DataError.of(missing)
    places = pa.array(rows - 1)
    return {name: table.arrow.column(name).take(places).to_pylist() for name in names}


def _columns(subject: Examined) -> Mapping[str, Sequence[object]]:
    named = extra_names(subject.settings)
    return {name: subject.extra[name] for name in named if name in subject.extra}


def _drawing(subject: Examined) -> dict[str, Any]:
    return {
        "groups": subject.groups,
        "confidence": subject.confidence,
        "resamples": subject.resamples,
        "seed": subject.seed,
    }
