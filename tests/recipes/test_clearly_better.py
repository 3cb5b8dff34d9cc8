"""When one model is taken to be clearly ahead of another on the validation rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import labelled_rows

from tunesmith import config
from tunesmith.recipes import Silent
from tunesmith.recipes._compare import is_clearly_better
from tunesmith.recipes._methods import racing_methods
from tunesmith.recipes._prepare import PreparedData, prepare_data

from .conftest import write_rows


def prepared(folder: Path, num_rows: int) -> tuple[PreparedData, config.RunConfig]:
    file = write_rows(folder / f"{num_rows}.csv", labelled_rows(num_rows))
    given = {"data.source": str(file), "data.checks": False, "data.split": "stratified"}
    chosen = config.load(settings=given)
    return prepare_data(chosen.data, chosen.seed, Silent()), chosen


def scores_of(data: PreparedData, *, sure: float, wrong: int) -> NDArray[np.float32]:
    """Scores by which all rows but the first `wrong` are answered right."""
    targets: NDArray[Any] = data.task.encode(data.split.validation.targets or [])
    answers = np.where(np.arange(len(targets)) < wrong, (targets + 1) % 3, targets)
    by_row = sure * np.linspace(0.8, 1.2, len(targets))
    return (by_row[:, None] * np.eye(3)[answers]).astype(np.float32)


@pytest.mark.parametrize(
    ("first", "second", "clear"),
    [
        ({"sure": 4.0, "wrong": 0}, {"sure": 0.5, "wrong": 0}, True),  # much surer
        ({"sure": 0.5, "wrong": 0}, {"sure": 4.0, "wrong": 0}, False),
        ({"sure": 1.0, "wrong": 2}, {"sure": 1.0, "wrong": 2}, False),
        (
            {"sure": 4.0, "wrong": 1},
            {"sure": 0.5, "wrong": 0},
            False,
        ),  # surer, and less often right
        ({"sure": 1.0, "wrong": 0}, {"sure": 1.0, "wrong": 6}, True),
    ],
)
def test_what_is_clear(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], clear: bool
) -> None:
    data, chosen = prepared(tmp_path, 60)
    assert len(data.split.validation) >= 10
    scores = [scores_of(data, **own) for own in (first, second)]
    assert is_clearly_better(scores[0], scores[1], data, chosen) is clear


def test_what_races_follows_from_the_rows_of_a_label(tmp_path: Path) -> None:
    races = [racing_methods(prepared(tmp_path, num_rows)[0]) for num_rows in (30, 120, 600)]
    assert races == [("few-shot",), ("full", "few-shot"), ("full",)]
