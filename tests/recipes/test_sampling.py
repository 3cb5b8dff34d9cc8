"""Some of many rows: how many, which, and in what shares."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes._sampling import joined, stratified_sample
from tunesmith.types import Dataset, Target

labels = st.sampled_from(["a", "b", "c", "d"])
targets = st.one_of(
    st.lists(labels, min_size=1, max_size=60),
    st.lists(st.lists(labels, max_size=3, unique=True).map(tuple), min_size=1, max_size=60),
)


def dataset(wanted: list[Target]) -> Dataset:
    texts = [f"text {place}" for place in range(len(wanted))]
    return Dataset((texts,), wanted, np.arange(1, len(wanted) + 1), "x.csv")


@given(targets, st.integers(0, 80), st.integers(0, 3))
def test_as_many_as_asked_for_each_once_in_order(
    wanted: list[Target], size: int, seed: int
) -> None:
    places = stratified_sample(dataset(wanted), size, seed)
    assert len(places) == min(size, len(wanted))
    assert (np.diff(places) > 0).all()
    assert (places == stratified_sample(dataset(wanted), size, seed)).all()


@given(st.lists(labels, min_size=1, max_size=60), st.integers(0, 60))
def test_each_label_has_its_share(wanted: list[Target], size: int) -> None:
    places = stratified_sample(dataset(wanted), size, 0)
    before, after = Counter(wanted), Counter(wanted[place] for place in places)
    for label, count in before.items():
        share = count * min(size, len(wanted)) / len(wanted)
        assert abs(after[label] - share) < len(before)
    if size >= len(before):
        assert after.keys() == before.keys()


def test_another_seed_takes_other_rows() -> None:
    rows = dataset(["a", "b"] * 50)
    one, other = (stratified_sample(rows, 20, seed) for seed in (0, 1))
    assert (one != other).any()


def test_the_second_ones_rows_have_no_number() -> None:
    both = joined(dataset(["a", "b"]), dataset([("a", "b")]))
    assert both.rows.tolist() == [1, 2, 0]
    assert both.targets == ["a", "b", ("a", "b")]
    assert (len(both), both.source) == (3, "x.csv")
