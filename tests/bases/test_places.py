"""Where tokens stand in their texts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import tiny_tokenizer

from tunesmith.bases import find_places, tokenize
from tunesmith.errors import BaseModelError

KINDS = ("wordpiece", "bytes", "unigram")


def make(kind: str) -> Any:
    tokenizer = tiny_tokenizer(kind)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_stand_where_their_text_is(kind: str) -> None:
    tokenizer = make(kind)
    inputs = [("my card, 你好",), ("où?",), ("",)]
    tokens = tokenize(tokenizer, inputs, 60)
    places = find_places(tokenizer, inputs, tokens)
    for number, ((text,), own) in enumerate(zip(inputs, places, strict=True)):
        assert len(own.fields) == tokens.lengths[number]
        inside = own.fields == 0
        covered = {
            place
            for start, end in zip(own.starts[inside], own.ends[inside], strict=True)
            for place in range(start, end)
        }
        assert covered >= {place for place, sign in enumerate(text) if not sign.isspace()}
        assert (own.ends[inside] <= len(text)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_two_texts_of_which_the_longer_is_cut(kind: str) -> None:
    tokenizer = make(kind)
    inputs = [("where is the parcel " * 9, "card"), ("my", "money back " * 30)]
    tokens = tokenize(tokenizer, inputs, 24)
    for (first, second), own in zip(inputs, find_places(tokenizer, inputs, tokens), strict=True):
        assert len(own.fields) == 24
        short, long = (1, 0) if len(first) > len(second) else (0, 1)
        assert own.ends[own.fields == short].max() == len((first, second)[short])
        assert own.ends[own.fields == long].max() < len((first, second)[long])
        assert set(own.fields.tolist()) <= {-1, 0, 1}


def test_a_tokenizer_that_does_not_tell() -> None:
    tokenizer = tiny_tokenizer("wordpiece")
    inputs = [("my card",)]
    tokens = tokenize(tokenizer, inputs, 60)

    def silent(*_: Any, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(encodings=None)

    with pytest.raises(BaseModelError, match="does not tell") as caught:
        find_places(silent, inputs, tokens)
    assert "leave-one-out" in caught.value.faults[0].mend
    other = tokenize(tokenizer, [("my money",)], 60)
    with pytest.raises(BaseModelError, match="does not tell"):
        find_places(tokenizer, inputs, other)
    assert np.array_equal(find_places(tokenizer, inputs, tokens)[0].fields[1:-1], [0] * 2)
