"""What a model reads of a text: its words, and the tokens that each is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import TokenizedDataset, TokenPlaces, find_places, tokenize
from tunesmith.types import Inputs
from tunesmith.words import Word, keep_words, words_of

__all__ = ["Reading", "read_texts", "read_words"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of one example.

    Attributes:
        inputs: the example's texts, whole.
        words: the words that are read, in the order of the texts.
        read: how many characters of each text are read; the rest is cut.
        num_tokens, full_tokens: tokens that are read, and tokens in all; 0 where none were made.
        owners: int64 [num_tokens], each token's place in `words`; -1 for those around the texts.
    """

    inputs: Inputs
    words: tuple[Word, ...]
    read: tuple[int, ...]
    num_tokens: int
    full_tokens: int
    owners: NDArray[np.int64]

    @property
    def is_cut(self) -> bool:
        """Whether the example is longer than what the model reads."""
        return self.full_tokens > self.num_tokens

    @property
    def texts(self) -> Inputs:
        """The texts as far as they are read."""
        return tuple(str(text)[:end] for text, end in zip(self.inputs, self.read, strict=True))

    def keep(self, kept: NDArray[np.bool_]) -> Inputs:
        """The texts with only some of their words; `kept` is bool [words]."""
        return keep_words(self.texts, self.words, kept)

    def sums(self, tokens: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Values of tokens, float64 [num_tokens], summed to words.

        Returns:
            float64 [words], and the sum of those around the texts.
        """
        own = self.owners >= 0
        words = np.bincount(self.owners[own], tokens[own], minlength=len(self.words))
        return words.astype(np.float64), float(tokens[~own].sum())


def read_words(inputs: Sequence[Inputs]) -> list[Reading]:
    """Readings of n examples without a tokenizer, as if all of them were read."""
    nothing = np.zeros(0, dtype=np.int64)
    return [
        Reading(one, tuple(words_of(one)), tuple(len(str(text)) for text in one), 0, 0, nothing)
        for one in inputs
    ]


def read_texts(
    tokenizer: Any, inputs: Sequence[Inputs], max_length: int
) -> tuple[list[Reading], TokenizedDataset]:
    """Readings of n examples, and their tokens.

    A token that is of several words makes them one: "words" are then as short as tokens allow.

    Raises:
        BaseModelError: the tokenizer does not tell where its tokens stand in a text.
    """
    tokens = tokenize(tokenizer, inputs, max_length)
    places = find_places(tokenizer, inputs, tokens)
    readings = [
        _reading(one, own, int(full))
        for one, own, full in zip(inputs, places, tokens.full_lengths, strict=True)
    ]
    return readings, tokens


def _reading(inputs: Inputs, places: TokenPlaces, full_tokens: int) -> Reading:
    num_tokens = len(places.fields)
    owners = np.full(num_tokens, -1, dtype=np.int64)
    words: list[Word] = []
    read: list[int] = []
    everything = words_of(inputs)
    for field, text in enumerate(inputs):
        of_field = places.fields == field
        end = len(str(text))
        if full_tokens > num_tokens:
            end = int(places.ends[of_field].max(initial=0))
        spans = [(w.start, min(w.end, end)) for w in everything if w.field == field]
        spans = [(start, stop) for start, stop in spans if start < end]
        joined, own = _join(spans, places.starts[of_field], places.ends[of_field])
        owners[of_field] = np.where(own >= 0, own + len(words), -1)
        words += [Word(field, start, stop) for start, stop in joined]
        read.append(end)
    return Reading(inputs, tuple(words), tuple(read), num_tokens, full_tokens, owners)


def _join(
    spans: Sequence[tuple[int, int]], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Words joined where a token is of several, and each token's word (-1 where there is none).

    White space belongs to the word behind it, as it does in most tokenizers.
    """
    if not spans:
        return [], np.full(len(starts), -1, dtype=np.int64)
    word_starts, word_ends = np.array(spans, dtype=np.int64).T
    first = np.searchsorted(word_ends, starts, side="right")
    last = np.searchsorted(word_starts, ends, side="left") - 1
    first = np.minimum(first, len(spans) - 1)
    goes_on = np.zeros(len(spans), dtype=np.bool_)  # whether a word is one with the next
    for one, other in zip(first.tolist(), last.tolist(), strict=True):
        goes_on[one : max(one, other)] = True
    groups = np.concatenate([[0], np.cumsum(~goes_on[:-1])])
    heads = np.flatnonzero(np.concatenate([[True], ~goes_on[:-1]]))
    tails = np.append(heads[1:], len(spans)) - 1
    joined = list(zip(word_starts[heads].tolist(), word_ends[tails].tolist(), strict=True))
    return joined, groups[first]
