"""Splits: shares, labels in every part, no text in two parts, whatever the order of rows."""

from __future__ import annotations

import hashlib
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunesmith.data import Split, overlap, split_dataset
from tunesmith.errors import ConfigError, DataError
from tunesmith.types import Dataset


def dataset(texts: list[str], targets: list | None) -> Dataset:
    return Dataset((texts,), targets, np.arange(1, len(texts) + 1), "x.csv")


def numbered(targets: list) -> Dataset:
    return dataset([f"text number {n}" for n in range(len(targets))], targets)


def parts(split: Split) -> list[Dataset]:
    return [split.train, split.validation, *([split.test] if split.test is not None else [])]


def texts_of(split: Split) -> list[set]:
    return [set(part.columns[0]) for part in parts(split)]


def test_shares_and_strata() -> None:
    data = numbered(["a"] * 600 + ["b"] * 300 + ["c"] * 100)
    split = split_dataset(data, validation=0.1, test=0.2, seed=0, stratified=True)
    assert [Counter(part.targets) for part in parts(split)] == [
        {"a": 420, "b": 210, "c": 70},
        {"a": 60, "b": 30, "c": 10},
        {"a": 120, "b": 60, "c": 20},
    ]
    assert all(part.source == "x.csv" for part in parts(split))
    assert all(np.all(np.diff(part.rows) > 0) for part in parts(split))


def test_remainders_go_round() -> None:
    split = split_dataset(
        numbered(list("abcdefghij") * 7), validation=0.2, test=0.2, seed=0, stratified=True
    )
    assert [len(part) for part in parts(split)] == [42, 14, 14]
    assert set(Counter(split.validation.targets).values()) <= {1, 2}


def test_parts_not_asked_for() -> None:
    data = numbered(["a", "b"] * 20)
    split = split_dataset(data, validation=0, test=0, seed=0, stratified=True)
    assert (len(split.train), len(split.validation), split.test) == (40, 0, None)
    split = split_dataset(data, validation=0.25, test=0, seed=0, stratified=True)
    assert (len(split.train), len(split.validation), split.test) == (30, 10, None)
    split = split_dataset(data, validation=0, test=0.25, seed=0, stratified=True)
    assert split.test is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (30, 0, 10)


def test_seeds() -> None:
    data = numbered(["a", "b"] * 50)
    one, again, other = (
        split_dataset(data, validation=0.1, test=0.1, seed=seed) for seed in (1, 1, 2)
    )
    assert texts_of(one) == texts_of(again)
    assert texts_of(one) != texts_of(other)


def test_test_part_does_not_depend_on_validation() -> None:
    data = numbered(["a", "b", "c"] * 50)
    tests = [split_dataset(data, validation=share, test=0.2, seed=0).test for share in (0.05, 0.3)]
    assert tests[0] is not None
    assert tests[1] is not None
    assert tests[0].rows.tolist() == tests[1].rows.tolist()


def test_labels_with_three_texts_are_everywhere() -> None:
    data = numbered(["a"] * 500 + ["rare"] * 3 + ["two"] * 2 + ["one"])
    split = split_dataset(data, validation=0.1, test=0.1, seed=0, stratified=True)
    assert [len(part) for part in parts(split)] == [404, 51, 51]
    counts = [Counter(part.targets) for part in parts(split)]
    assert [count["rare"] for count in counts] == [1, 1, 1]
    assert counts[0]["one"] == 1
    assert counts[0]["two"] >= 1


def test_equal_texts_stay_together() -> None:
    texts = ["Same  text", "same text ", "SAME TEXT"] * 10 + [f"other {n}" for n in range(70)]
    data = dataset(texts, ["a"] * 50 + ["b"] * 50)
    split = split_dataset(data, validation=0.1, test=0.1, seed=0, stratified=True)
    assert [len(part) for part in parts(split)] == [80, 10, 10]
    assert overlap(split.train, split.validation) == []
    assert split.test is not None
    assert overlap(split.train, split.test) == overlap(split.validation, split.test) == []


def test_pairs_are_told_apart() -> None:
    data = Dataset((["a"] * 20, [f"b{n}" for n in range(20)]), ["x", "y"] * 10, np.arange(20))
    assert (
        len(split_dataset(data, validation=0.2, test=0.2, seed=0, stratified=True).validation) == 4
    )


def test_several_labels() -> None:
    generator = np.random.default_rng(0)
    shares = [0.5, 0.3, 0.1, 0.02]
    drawn = generator.random((1000, 4)) < shares
    targets = [tuple(name for name, has in zip("abcd", row, strict=True) if has) for row in drawn]
    split = split_dataset(numbered(targets), validation=0.1, test=0.1, seed=0, stratified=True)
    assert [len(part) for part in parts(split)] == [800, 100, 100]
    counts = Counter(label for target in targets for label in target)
    for part in (split.validation, split.test):
        assert part is not None
        own = Counter(label for target in part.targets or () for label in target)
        for label, count in counts.items():
            assert abs(own[label] - count / 10) <= 4
            assert own[label] >= 1


def test_no_targets() -> None:
    split = split_dataset(
        dataset([f"t {n}" for n in range(50)], None),
        validation=0.1, test=0.1, seed=0, stratified=True,
    )  # fmt: skip
    assert [len(part) for part in parts(split)] == [40, 5, 5]
    assert split.train.targets is None


def test_small_parts_have_two_rows() -> None:
    split = split_dataset(numbered(["a", "b"] * 5), validation=0.1, test=0.1, seed=0)
    assert [len(part) for part in parts(split)] == [6, 2, 2]


@pytest.mark.parametrize("targets", [["a", "b"] * 2, ["a"], []])
def test_too_few_rows(targets: list[str]) -> None:
    with pytest.raises(DataError, match="are too few to split"):
        split_dataset(numbered(targets), validation=0.1, test=0.1, seed=0)


def test_too_few_texts() -> None:
    with pytest.raises(DataError, match="100 rows with 1 different texts are too few"):
        split_dataset(dataset(["same"] * 100, ["a", "b"] * 50), validation=0.1, test=0.1, seed=0)


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [(-0.1, 0.1, "validation share is -0.1"), (0.1, 1.0, "test share is 1"), (0.5, 0.5, "leave")],
)
def test_shares_that_make_no_sense(validation: float, test: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_dataset(numbered(["a", "b"] * 5), validation=validation, test=test, seed=0)


TEXTS = st.lists(st.integers(0, 60).map(lambda n: f"t{n}"), min_size=12, max_size=60)
SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.4])


@settings(max_examples=150)
@given(TEXTS, st.data(), SHARES, SHARES, st.integers(0, 3), st.booleans(), st.booleans())
def test_what_always_holds(texts, data, validation, test, seed, several, stratified) -> None:
    assume(len(set(texts)) >= 12)
    label = st.sampled_from("abcd")
    target = st.frozensets(label).map(lambda s: tuple(sorted(s))) if several else label
    # One label a text, so that the promise for labels with three texts holds without exception.
    by_text = {text: data.draw(target) for text in sorted(set(texts))}
    everything = dataset(texts, [by_text[text] for text in texts])
    how = {"validation": validation, "test": test, "seed": seed, "stratified": stratified}
    try:
        split = split_dataset(everything, **how)
    except DataError as error:
        assert "too few" in str(error)
        return
    rows = [row for part in parts(split) for row in part.rows.tolist()]
    assert sorted(rows) == everything.rows.tolist()
    sets = texts_of(split)
    assert sum(map(len, sets)) == len(set().union(*sets))
    known = {one for part in [split.train] for t in part.targets or () for one in t}
    assert known == {one for t in by_text.values() for one in t}
    if not several:
        wide = [one for one, count in Counter(by_text.values()).items() if count >= 3]
        asked = [split.validation] * (validation > 0) + [split.test] * (test > 0)
        assert all(one in (part.targets or ()) for one in wide for part in asked if part)
    heaviest = max(Counter(texts).values())
    for part, share in ((split.validation, validation), (split.test, test)):
        most = max(len(texts) * share + 1, 2, 4 * heaviest)
        if not stratified:
            most += max(len(texts) * share + 1, 2)
        assert len(part or ()) <= most if share else not part

    order = data.draw(st.permutations(range(len(texts))))
    moved = split_dataset(everything.take(order), **how)
    assert texts_of(moved) == sets


def part_of(split: Split) -> dict[str, int]:
    return {text: place for place, part in enumerate(parts(split)) for text in part.columns[0]}


def test_rows_that_are_added_move_no_others() -> None:
    data = numbered([f"label {n % 5}" for n in range(3000)])
    before = part_of(split_dataset(data.take(range(2000)), validation=0.1, test=0.1, seed=0))
    after = part_of(split_dataset(data, validation=0.1, test=0.1, seed=0))
    assert [text for text, part in before.items() if after[text] != part] == []
    for part, share in ((0, 0.8), (1, 0.1), (2, 0.1)):
        own = sum(place == part for place in after.values())
        assert abs(own / 3000 - share) < 0.03


def test_one_owner_is_on_one_side() -> None:
    owners = [f"contract {n % 60}".encode() for n in range(600)]
    data = numbered([f"label {n % 3}" for n in range(600)])
    split = split_dataset(data, validation=0.2, test=0.2, seed=0, owners=owners)
    sides = [{owners[row - 1] for row in part.rows.tolist()} for part in parts(split)]
    assert sum(map(len, sides)) == 60
    assert all(len(side) >= 5 for side in sides)
    # Sixty more contracts, and ten more rows of each old one.
    more = [f"contract {n % 60 + 60 * (n >= 1200)}".encode() for n in range(1800)]
    larger = split_dataset(
        numbered([f"label {n % 3}" for n in range(1800)]),
        validation=0.2, test=0.2, seed=0, owners=more,
    )  # fmt: skip
    after = [{more[row - 1] for row in part.rows.tolist()} for part in parts(larger)]
    assert all(before <= now for before, now in zip(sides, after, strict=True))


def test_owners_with_a_text_in_common_are_one() -> None:
    texts = [f"text {n}" for n in range(40)]
    texts[1] = "TEXT 0"
    owners = [str(n // 2).encode() for n in range(40)]
    owners[1] = b"another"
    split = split_dataset(
        dataset(texts, ["a", "b"] * 20), validation=0.2, test=0.2, seed=1, owners=owners
    )
    part = part_of(split)
    assert part["text 0"] == part["TEXT 0"]


def test_what_is_linked_is_on_one_side() -> None:
    data = numbered(["a", "b"] * 200)
    links = np.array([(n, n + 1) for n in range(0, 400, 4)])
    part = part_of(split_dataset(data, validation=0.2, test=0.2, seed=0, links=links))
    assert all(part[f"text number {a}"] == part[f"text number {b}"] for a, b in links.tolist())
    assert len({part[f"text number {a}"] for a, _ in links.tolist()}) == 3


def test_too_few_owners() -> None:
    with pytest.raises(DataError, match="40 rows with 2 different owners are too few"):
        split_dataset(
            numbered(["a", "b"] * 20), validation=0.1, test=0.1, seed=0, owners=[b"x", b"y"] * 20
        )


def test_splits_are_as_they_were() -> None:
    """A split that changes with a version makes figures of before and after hard to compare."""
    texts = [f"Text {n * n % 61}{' ' * (n % 3)}" for n in range(200)]
    one = [f"label {n * n % 61 % 7}" for n in range(200)]
    sets = [{f"label {n % 5}", f"label {n * n % 61 % 3}"} for n in range(200)]
    several = [tuple(sorted(own))[: n % 3] for n, own in enumerate(sets)]
    expected = [
        (one, [5, 11, 18, 19, 20, 25, 26, 37, 38, 43, 44, 45, 52, 58, 66, 72, 79, 80], "d3de04d2"),
        (several, [13, 20, 26, 37, 43, 50, 74, 81, 87, 98, 104, 111, 135, 142, 148], "cca23f6b"),
        (None, [4, 11, 21, 42, 52, 59, 65, 72, 82, 103, 113, 120, 126, 133, 143], "e2674dea"),
    ]
    for targets, first, digest in expected:
        split = split_dataset(
            dataset(texts, targets), validation=0.1, test=0.2, seed=3, stratified=True
        )
        assert split.test is not None
        assert split.validation.rows.tolist()[: len(first)] == first
        assert hashlib.sha256(split.test.rows.astype("<i8").tobytes()).hexdigest()[:8] == digest


def test_a_hundred_thousand_rows_take_seconds() -> None:
    texts = [f"Some text, as long as most of them are, with a number: {n}" for n in range(100_000)]
    data = dataset(texts, [f"label {n * n % 97}" for n in range(100_000)])
    start = time.process_time()
    split = split_dataset(data, validation=0.1, test=0.1, seed=0, stratified=True)
    assert time.process_time() - start < 8
    assert [len(part) for part in parts(split)] == [80_000, 10_000, 10_000]
