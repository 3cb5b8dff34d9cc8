"""Explanations that are handed on hold no personal data."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checks import redacted
from tunesmith.explanation import masked
from tunesmith.words import split_words

from .test_drivers import explained


def test_the_words_of_an_address_become_one() -> None:
    text = explained("money", "mail ann@example.org or (bob@example.org) now", 1, 2, 3, 4, 5)
    found = masked(text)
    assert found.inputs == ("mail [e-mail] or ([e-mail]) now",)
    words = found.explanations[0].words
    assert [(word.text, word.attribution) for word in words] == [
        ("mail", 1), ("[e-mail]", 2), ("or", 3), ("([e-mail])", 4), ("now", 5),
    ]  # fmt: skip
    assert all(found.inputs[0][word.start : word.end] == word.text for word in words)


def test_several_words_of_one_number_are_summed() -> None:
    text = explained("money", "call +49 30 1234567 please", 1, 2, 3, 4, 5)
    assert "[" in redacted(text.inputs[0]), "this is personal data"
    found = masked(text).explanations[0].words
    assert [word.attribution for word in found] == [1, 9, 5]


@pytest.mark.parametrize("text", ["nothing here", "包裹 on monday"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    own = explained("money", text, *[1.0] * len(text.split(" ")))
    assert masked(own).inputs == own.inputs
    assert masked(own).explanations == own.explanations


@given(st.lists(st.sampled_from(["a@b.org", "word", "+49 30 1234567", "x,", "包"]), min_size=1))
def test_nothing_of_the_sum_is_lost(parts: list[str]) -> None:
    text = " ".join(parts)
    own = explained("money", text, *[1.0] * len(text.split(" ")))
    found = masked(own)
    assert "a@b.org" not in found.inputs[0]
    words = found.explanations[0].words
    assert sum(word.attribution for word in words) == len(text.split(" "))
    assert all(found.inputs[0][word.start : word.end] == word.text for word in words)
    assert all(a.end <= b.start for a, b in pairwise(words))
    assert split_words(found.inputs[0])
