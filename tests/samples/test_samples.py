"""The embedded files: enough rows, in a format that is read, with the flaws that are documented."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tunesmith.config import DataConfig
from tunesmith.data import Table, build_dataset, choose_columns, read_table
from tunesmith.errors import ConfigError
from tunesmith.recipes import Silent
from tunesmith.recipes._prepare import prepare_data
from tunesmith.samples import SAMPLES, Sample, sample

every_sample = pytest.mark.parametrize("own", SAMPLES, ids=lambda own: own.name)


def _flaws(own: Sample) -> dict[str, Any]:
    flaws: dict[str, Any] = json.loads(own.path.with_suffix(".flaws.json").read_text())
    return flaws


def _rows_without(table: Table, column: str) -> list[int]:
    return [row for row, value in enumerate(table.column(column), start=1) if not value]


def test_there_are_three_with_600_rows() -> None:
    assert len(SAMPLES) == 3
    assert sum(read_table(own.path).num_rows for own in SAMPLES) >= 600
    assert {sample(own.name) for own in SAMPLES} == set(SAMPLES)
    with pytest.raises(ConfigError, match="there is no sample"):
        sample("nosuch")


@every_sample
def test_it_is_plain_utf8(own: Sample) -> None:
    table = read_table(own.path)
    assert table.notes == ()
    assert {own.text, own.target} <= set(table.column_names)
    text = own.path.read_text(encoding="utf-8")
    assert "\r" not in text
    assert "\ufffd" not in text


@every_sample
def test_its_columns_are_guessed_right(own: Sample) -> None:
    columns = choose_columns(read_table(own.path))
    assert (columns.text, columns.target) == ((own.text,), own.target)


@every_sample
def test_missing_values_are_where_they_are_said_to_be(own: Sample) -> None:
    table, flaws = read_table(own.path), _flaws(own)
    assert _rows_without(table, own.text) == flaws["missing_text"]
    assert _rows_without(table, own.target) == flaws["missing_label"]
    columns = choose_columns(table, text=[own.text], target=own.target)
    loaded = build_dataset(table, columns, missing="drop")
    assert loaded.dropped == {"missing": len(flaws["missing_text"] + flaws["missing_label"])}


@every_sample
def test_duplicates_are_those_that_are_named(own: Sample) -> None:
    texts = [str(text or "").casefold().split() for text in read_table(own.path).column(own.text)]
    named = dict(_flaws(own)["duplicates"])
    for later, first in named.items():
        assert texts[later - 1] == texts[first - 1]
    kept = [tuple(text) for row, text in enumerate(texts, start=1) if text and row not in named]
    assert not [text for text, count in Counter(kept).items() if count > 1]


@every_sample
def test_wrong_labels_are_those_that_are_named(own: Sample) -> None:
    labels = read_table(own.path).column(own.target)
    wrong = _flaws(own)["wrong_labels"]
    assert len(wrong) == 2
    for flaw in wrong:
        assert labels[flaw["row"] - 1] == flaw["label"] != flaw["truth"]
        assert flaw["truth"] in labels


@every_sample
def test_it_can_be_trained_on(own: Sample) -> None:
    config = DataConfig(source=str(own.path), drop_missing=True, test_fraction=0.25)
    data = prepare_data(config, 42, Silent())
    assert 3 <= len(data.task.labels) <= 12
    counts = Counter(data.split.train.targets or ())
    assert min(counts.values()) >= 20
    assert len(data.test) >= 60
