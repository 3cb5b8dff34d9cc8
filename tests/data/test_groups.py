"""Groups as flat arrays say what dictionaries of rows would."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data._build import labels_of
from tunesmith.data._content import row_keys
from tunesmith.data._groups import group_rows
from tunesmith.types import Dataset

TARGETS = st.one_of(st.sampled_from("abc"), st.frozensets(st.sampled_from("abc")).map(tuple))
ROWS = st.lists(st.tuples(st.sampled_from(["x", "X ", "y", "z", "ß", "SS"]), TARGETS), max_size=20)


@given(ROWS, st.booleans(), st.integers(0, 2))
def test_groups_are_those_of_equal_texts(rows: list, labelled: bool, seed: int) -> None:
    targets = [target for _, target in rows] if labelled else None
    dataset = Dataset(([text for text, _ in rows],), targets, np.arange(1, len(rows) + 1))
    groups = group_rows(dataset, seed)

    expected: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, key in enumerate(row_keys(dataset)):
        expected[key].append(place)
    ends = np.cumsum(groups.sizes)
    found = [own.tolist() for own in np.split(groups.rows, ends[:-1])] if len(groups) else []
    assert sorted(found) == sorted(expected.values())

    own = [labels_of(target) or ("",) for target in targets or [""] * len(rows)]
    names = sorted({label for labels in own for label in labels})
    counts = [Counter(label for place in places for label in own[place]) for places in found]
    for group, expected_counts in enumerate(counts):
        assert {names[at]: count for at, count in groups.labels_of(group)} == expected_counts
    total = sum(counts, Counter[str]())
    assert groups.num_rows_of_label() == [total[name] for name in names]
    if rows:
        of_label = [[at for at, own in enumerate(counts) if name in own] for name in names]
        assert [places.tolist() for places in groups.of_label()] == of_label


def test_the_order_is_of_text_and_seed_alone() -> None:
    texts = [f"text {n}" for n in range(30)]

    def order(texts: list[str], seed: int) -> list[str]:
        groups = group_rows(Dataset((texts,), None, np.arange(len(texts))), seed)
        return [texts[place] for place in groups.rows]

    assert order(texts, 0) == order(texts[::-1], 0)
    assert order(texts, 0) != order(texts, 1)
