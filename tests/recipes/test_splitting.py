"""Which rows are held out: by text, by group, by time, and near-duplicates on one side."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tunesmith.config import DataConfig
from tunesmith.errors import ConfigError, DataError
from tunesmith.recipes import Silent
from tunesmith.recipes._prepare import PreparedData, prepare_data
from tunesmith.types import Dataset

from .conftest import Notes

WORDS = [
    "invoice",
    "card",
    "refund",
    "login",
    "parcel",
    "delivery",
    "password",
    "account",
    "late",
    "broken",
]


def write(path: Path, rows: list[dict[str, object]]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def tickets(num_rows: int, **more: str) -> list[dict[str, object]]:
    return [
        {
            "text": f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} {WORDS[n // 100 % 10]} number{n} said "
            f"word{n * 7} and word{n * 11}",
            "label": f"label {n % 3}",
            "day": f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}",
            "customer": f"customer {n % 40}",
        }
        for n in range(num_rows)
    ]


def prepare(source: str, listener: Silent | None = None, **config: object) -> PreparedData:
    chosen = DataConfig(source=source, target="label", text=("text",), **config)
    return prepare_data(chosen, 42, listener or Silent())


def parts(data: PreparedData) -> list[Dataset]:
    return [data.split.train, data.split.validation, data.test]


def test_one_group_is_on_one_side(tmp_path: Path) -> None:
    rows = tickets(400)
    data = prepare(write(tmp_path / "t.csv", rows), group="customer", test_fraction=0.2)
    sides = [{rows[row - 1]["customer"] for row in part.rows.tolist()} for part in parts(data)]
    assert sum(map(len, sides)) == 40
    assert all(sides)
    assert data.test_groups is not None  # intervals are over them
    assert len(data.test_groups) == len(data.test)
    assert len(set(data.test_groups.tolist())) == len(sides[-1])
    assert data.split_source == "20% of t.csv, held out by 'customer', seed 42"


def test_the_latest_rows_are_the_test(tmp_path: Path) -> None:
    rows = tickets(400)
    data = prepare(write(tmp_path / "t.csv", rows), time="day")
    days = [sorted(str(rows[row - 1]["day"]) for row in p.rows.tolist()) for p in parts(data)]
    assert days[0][-1] < days[1][0]
    assert days[1][-1] < days[2][0]
    assert data.split_source == "the latest 10% of t.csv by 'day'"


def test_a_label_that_is_new_in_time(tmp_path: Path) -> None:
    rows = tickets(400)
    for row in rows:
        if str(row["day"]) > "2024-12":
            row["label"] = "new"
    heard = Notes()
    data = prepare(write(tmp_path / "t.csv", rows), heard, time="day")
    assert "new" in data.task.labels
    assert "labels that no row had before the held-out ones ('day'): 'new'" in heard.warned


def test_near_duplicates_are_on_one_side(tmp_path: Path) -> None:
    rows = tickets(300)
    for n in range(0, 300, 2):
        rows[n]["text"] = str(rows[n + 1]["text"]).upper() + "!"
    source = write(tmp_path / "t.csv", rows)

    def divided(data: PreparedData) -> int:
        side = {row: n for n, part in enumerate(parts(data)) for row in part.rows.tolist()}
        return sum(side[row] != side[row + 1] for row in range(1, 300, 2))

    assert divided(prepare(source)) == 0
    assert divided(prepare(source, near_duplicates="apart")) > 20


def test_a_chain_of_near_duplicates_is_let_go(tmp_path: Path) -> None:
    rows = tickets(300)
    for n in range(100):
        rows[n]["text"] = f"your order number {n} has arrived at last"
    heard = Notes()
    data = prepare(write(tmp_path / "t.csv", rows), heard)
    assert sum("are near-duplicates in one chain" in line for line in heard.said) == 1
    assert all(any(row <= 100 for row in part.rows.tolist()) for part in parts(data))


def test_stratified(tmp_path: Path) -> None:
    data = prepare(write(tmp_path / "t.csv", tickets(300)), split="stratified")
    assert len(data.test) == 30
    assert data.split_source == "10% of t.csv, held out by text, labels spread alike, seed 42"


@pytest.mark.parametrize(
    ("num_rows", "expected"), [(100, 25), (300, 75), (700, 175), (2000, 200), (8000, 500)]
)
def test_enough_rows_for_a_choice(tmp_path: Path, num_rows: int, expected: int) -> None:
    source = write(tmp_path / "t.csv", tickets(num_rows))
    data = prepare(source, split="stratified", near_duplicates="apart")
    assert len(data.split.validation) == expected


def test_refused(tmp_path: Path) -> None:
    rows = tickets(50)
    rows[4]["customer"] = ""
    source = write(tmp_path / "t.csv", rows)
    with pytest.raises(ConfigError, match="either by group or by time"):
        prepare(source, group="customer", time="day")
    with pytest.raises(DataError, match="column 'customer' is empty in row 5"):
        prepare(source, group="customer")
    with pytest.raises(DataError, match="column 'costumer' does not exist"):
        prepare(source, group="costumer")
    with pytest.raises(DataError, match="'customer' does not hold times"):
        prepare(source, time="customer")
