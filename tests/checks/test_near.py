"""Near-duplicates: what is planted is found, and hardly anything else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tunesmith.checks import _near
from tunesmith.checks._near import connected, near_pairs


def pairs(*texts: str | None) -> list[list[int]]:
    return near_pairs(iter([(0, pa.array(texts, pa.string()))])).tolist()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Where is it?", "where is it"),
        ("the cat sat on the mat", "the cat sat upon the mat"),
        ("the cat sat on the mat", "the cat sat on mat"),
        ("the cat sat on the mat", "the big cat sat on the mat"),
        ("the cat sat on the mat", "on the cat sat the mat"),
        ("我的银行卡在哪里", "我的银行卡在那里"),
    ],
)
def test_texts_a_word_apart_are_near(a: str, b: str) -> None:
    assert pairs(a, b) == [[0, 1]]


def test_texts_two_words_apart_short_ones_and_empty_ones_are_not() -> None:
    assert pairs("the cat sat on the mat", "a cat sat on a mat", "my card", "my pin", "", None) == [
        [4, 5]
    ]


def test_long_texts_that_share_most_are_near() -> None:
    generator = np.random.default_rng(0)
    words = [f"w{n}" for n in generator.integers(0, 500, size=100)]
    changed = [*words]
    for place in (10, 50, 90):
        changed[place] = "other"
    unlike = [f"w{n}" for n in generator.integers(0, 500, size=100)]
    assert pairs(" ".join(words), " ".join(unlike), " ".join(changed)) == [[0, 2]]


def test_the_disk_gives_what_the_memory_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    texts = [" ".join(f"w{n}" for n in generator.integers(0, 6, size=6)) for _ in range(300)]
    pieces = [(start, pa.array(texts[start : start + 50])) for start in range(0, 300, 50)]
    expected = connected(near_pairs(iter(pieces)))
    assert len(expected) > 1
    monkeypatch.setattr(_near, "_KEYS_IN_MEMORY", 100)
    assert connected(near_pairs(iter(pieces))) == expected
