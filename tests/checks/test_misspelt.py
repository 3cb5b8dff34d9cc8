"""Slips of the hand are found and corrected; what is meant as it stands is let pass."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checks import Subject, check_misspelt_values, clean, find_steps, revert
from tunesmith.checks._misspelt import misspelt_values
from tunesmith.data import Table


@pytest.mark.parametrize(
    ("value", "common"),
    [
        ("billng", "billing"),
        ("biling", "billing"),
        ("billinng", "billing"),
        ("iblling", "billing"),
        ("Bilxing", "billing"),
        ("cancelation requst", "cancellation request"),
        ("heartattack", "heart attack"),
        ("3595x", "35957"),
    ],
)
def test_a_slip_is_found(value: str, common: str) -> None:
    assert misspelt_values({common: 40, value: 2}) == {value: common}


@pytest.mark.parametrize(
    ("value", "common"),
    [
        ("unpaid", "paid"),  # another word
        ("type A", "type B"),  # a name of one letter
        ("grade II", "grade I"),
        ("35951", "35957"),  # another number
        ("room 112", "room 12"),
        ("yes", "yep"),  # too short to tell
        ("al_hf-1", "ak_hf-1"),
        ("Billing", "billing"),  # another way to write it: label-variants says so
        ("delivery", "billing"),
    ],
)
def test_what_is_meant_is_let_pass(value: str, common: str) -> None:
    assert not misspelt_values({common: 40, value: 2})


def test_a_value_that_is_not_rare_or_may_be_one_of_two_is_let_pass() -> None:
    assert not misspelt_values({"billing": 40, "biling": 5})
    assert not misspelt_values({"x5957": 1, "35957": 20, "45957": 20})


@given(st.dictionaries(st.text("abx 1-", min_size=1, max_size=12), st.integers(1, 60)))
def test_what_is_suggested_is_frequent_and_no_slip_itself(counts: dict[str, int]) -> None:
    meant = misspelt_values(counts)
    assert all(counts[common] >= 10 * counts[value] for value, common in meant.items())


def subject() -> Subject:
    labels = ["billing"] * 30 + ["delivery"] * 30 + ["delivry", "biling", "biling"]
    cities = ["Birmingham"] * 31 + ["Sheffield"] * 31 + ["Birmimgham"]
    texts = [f"text {n}, which is about much" for n in range(63)]
    texts[3:5] = ["the word biling stands here", "and the word Biling here again"]
    table = pa.table({"text": texts, "team": labels, "city": cities, "n": list(range(63))})
    return Subject(Table(table, "rows.csv"), ("text",), "team")


def test_labels_weigh_more_and_a_word_that_texts_use_is_a_word() -> None:
    target, city = check_misspelt_values(subject())
    assert (target.severity, target.column, target.rows.tolist()) == ("warning", "team", [61])
    assert target.details == [{"row": 61, "value": "delivry", "suggested": "delivery"}]
    assert (city.severity, city.column, city.rows.tolist()) == ("note", "city", [63])


def test_the_step_corrects_asks_and_can_be_undone() -> None:
    before = subject()
    assert "correct-misspelt-values" not in {step.name for step in find_steps(["safe"])}
    steps = find_steps(["correct-misspelt-values"])
    cleaned = clean(before, steps)
    assert cleaned.table.column("team")[60] == "delivery"
    assert cleaned.table.column("city")[62] == "Birmingham"
    assert cleaned.counts() == {"correct-misspelt-values": 2}
    assert not clean(Subject(cleaned.table, ("text",), "team"), steps).changes
    back = revert(cleaned.table, cleaned.rows, cleaned.changes)
    assert back.arrow.to_pylist() == before.table.arrow.to_pylist()


def test_several_labels_a_row_and_columns_of_many_values_are_left_alone() -> None:
    rows = [["billing", "delivery"]] * 30 + [["biling", "delivery"]]
    names = [f"name {n}" for n in range(31)]
    table = Table(pa.table({"text": names, "labels": rows}), "rows.jsonl")
    assert not list(check_misspelt_values(Subject(table, ("text",), "labels")))
