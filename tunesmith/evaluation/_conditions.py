"""Simple conditions that a text or its row fulfils or not, for the search for weak slices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from tunesmith.checks import redacted
from tunesmith.evaluation._slices import usual_parts
from tunesmith.words import script_of, split_words

__all__ = ["Condition", "conditions_of"]

_WORDS = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_MOST_WORDS = 2_000
_OFTEN = 1 / 3
"""Words that so many texts hold are worth missing: that others lack a word says nothing."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What rows have in common.

    Attributes:
        kind: "word", "no word", "length", "language" or "column".
        name: a column's name; of other kinds the kind.
        value: the word or the part.
    """

    kind: str
    name: str
    value: str

    def sentence(self) -> str:
        """The condition as a person would say it."""
        if self.kind == "word":
            return f"the text holds “{self.value}”"
        if self.kind == "no word":
            return f"the text lacks “{self.value}”"
        if self.kind == "length":
            return f"the text has {self.value} characters"
        return f"{self.name} is {self.value}"

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name, "value": self.value}


def conditions_of(
    texts: Sequence[str], columns: Mapping[str, Sequence[object]], fewest: int
) -> tuple[list[Condition], sparse.csc_array]:
    """Conditions that enough of the rows fulfil, and enough do not.

    Words are told from one another without regard to case. Those of scripts without spaces are the
    ones of explanations; of two that are one character each, the pair is a word besides.

    Args:
        texts: n texts.
        columns: further columns by name, n values each.
        fewest: how many rows must fulfil a condition.

    Returns:
        m conditions, and which rows fulfil which, sparse float64 [n, m].
    """
    conditions: list[Condition] = []
    members: list[sparse.csc_array] = []
    for kind, name, (values, inside) in usual_parts(texts, columns):
        conditions += [Condition(kind, name, value) for value in values]
        members.append(inside)
    words, inside = _words(texts, fewest)
    often = np.flatnonzero(np.asarray(inside.sum(axis=0)) >= _OFTEN * len(texts))
    lacking = sparse.csc_array(1.0 - inside[:, often].toarray())
    conditions += [Condition("word", "word", word) for word in words]
    conditions += [Condition("no word", "no word", words[place]) for place in often.tolist()]
    found = sparse.hstack([*members, inside, lacking], format="csc")
    sizes = np.asarray(found.sum(axis=0))
    fitting = np.flatnonzero((sizes >= fewest) & (sizes <= len(texts) - fewest))
    return [conditions[place] for place in fitting.tolist()], found[:, fitting]


def _words(texts: Sequence[str], fewest: int) -> tuple[list[str], sparse.csc_array]:
    """The words that enough texts hold, the commonest if they are many, and who holds them."""
    # Reports are handed on: what is personal becomes the name of its kind before it is a word.
    held = [_words_in(redacted(text)) for text in texts]
    counts = Counter(word for own in held for word in own)
    known = [word for word, count in counts.most_common(_MOST_WORDS) if count >= fewest]
    places = {word: place for place, word in enumerate(sorted(known))}
    pairs = [(row, places[word]) for row, own in enumerate(held) for word in own if word in places]
    indices: Any = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shape = (len(texts), len(places))
    return list(places), sparse.csc_array((np.ones(len(pairs)), tuple(indices)), shape=shape)


def _words_in(text: str) -> set[str]:
    text = text.casefold()
    if script_of(text) is None:
        return set(_WORDS.findall(text))
    spans = [(a, b) for a, b in split_words(text) if any(map(str.isalnum, text[a:b]))]
    pairs = {
        text[a : a + 2]
        for (a, end), (b, last) in pairwise(spans)
        if end == b and (end - a, last - b) == (1, 1) and not text[a : a + 2].isascii()
    }
    return {text[a:b] for a, b in spans} | pairs
