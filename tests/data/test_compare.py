"""Two versions of the data: added, removed, relabelled."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import compare
from tunesmith.types import Dataset

ROWS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=12)


def dataset(rows: list[tuple[str, str]]) -> Dataset:
    return Dataset(([t for t, _ in rows],), [y for _, y in rows], np.arange(1, len(rows) + 1))


def test_what_changed() -> None:
    before = dataset([("one", "x"), ("two", "x"), ("three", "y"), ("four", "y")])
    after = dataset([("Three", "y"), ("TWO ", "y"), ("five", "x"), ("one", "x")])
    changes = compare(before, after)
    assert changes.added.tolist() == [3]
    assert changes.removed.tolist() == [4]
    assert changes.relabelled.tolist() == [[2, 2]]
    assert changes.counts() == {"same": 2, "added": 1, "removed": 1, "relabelled": 1}
    assert changes.sentence() == "1 rows added, 1 removed, 1 relabelled; 2 are as they were"
    assert compare(after, after).sentence() == "all 4 rows are as they were"


def test_several_labels_and_none() -> None:
    many = Dataset((["a", "b"],), [("x", "y"), ()], np.array([1, 2]))
    other = Dataset((["a", "b"],), [("x",), ()], np.array([1, 2]))
    assert compare(many, other).relabelled.tolist() == [[1, 1]]
    bare = Dataset((["a", "c"],), None, np.array([1, 2]))
    assert compare(bare, bare).num_same == 2


@given(ROWS, ROWS)
def test_every_row_is_counted_once(before: list, after: list) -> None:
    changes = compare(dataset(before), dataset(after))
    assert changes.num_same + len(changes.added) + len(changes.relabelled) == len(after)
    old = {text for text, _ in before}
    new = {text for text, _ in after}
    assert [after[row - 1][0] in old for row in changes.added.tolist()].count(True) == 0
    assert sorted(changes.removed.tolist()) == [
        row for row, (text, _) in enumerate(before, start=1) if text not in new
    ]
    for old_row, row in changes.relabelled.tolist():
        assert before[old_row - 1][0] == after[row - 1][0]
        assert after[row - 1] not in before
    assert not changes or set(before) != set(after)
