"""Near-duplicates: what is planted is found, and hardly anything else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checks import _near
from tunesmith.checks._near import connected, near_pairs
from tunesmith.errors import OutputError


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


def test_shingles_on_the_disk_measure_as_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    texts = []
    for _ in range(30):
        words = [f"w{n}" for n in generator.integers(0, 500, size=40)]
        texts += [" ".join(words), " ".join([*words[:20], "x", "y", *words[22:]])]
    pieces = [(start, pa.array(texts[start : start + 7])) for start in range(0, 60, 7)]
    expected = near_pairs(iter(pieces))
    assert expected.tolist() == [[place, place + 1] for place in range(0, 60, 2)]
    monkeypatch.setattr(_near, "_KEYS_IN_MEMORY", 50)
    assert near_pairs(iter(pieces)).tolist() == expected.tolist()


def full_disk() -> BinaryIO:
    return Path("/dev/full").open("r+b", buffering=0)


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr(_near, "_KEYS_IN_MEMORY", 1)
    monkeypatch.setattr("tempfile.TemporaryFile", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        pairs("the cat sat on the mat", "the cat sat on a mat")


CHARACTERS = st.sampled_from("abAÉé ß,.\u3042\u4e00\u200b\t\n'-1²İΣςﬁ\x00\u0301")


@given(st.lists(st.none() | st.text(CHARACTERS), max_size=6), st.integers(0, 2))
def test_words_are_the_same_whatever_stands_beside_a_text(
    texts: list[str | None], skipped: int
) -> None:
    """ASCII texts take another way than those beside them that are not."""
    alone = [_near._words(pa.array([text], pa.string()))[0].tolist() for text in texts[skipped:]]
    words, starts = _near._words(pa.array(texts, pa.string()).slice(skipped))
    found = [words[a:b].tolist() for a, b in pairwise(starts)]
    assert found == alone


def test_words_are_without_case_and_punctuation() -> None:
    def words(text: str) -> list[int]:
        return _near._words(pa.array([text]))[0].tolist()

    assert words(" Don't\tPANIC, 42! ") == words("don t panic 42") == words("DON’T panic… 42")
