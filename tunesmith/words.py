"""Texts as whole words, and texts with some of their words left out: what explaining needs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Inputs

__all__ = ["Word", "keep_words", "leave_out_each", "split_words", "words_of"]

_Kind: TypeAlias = Literal["space", "mark", "letter", "joiner", "alone", "kana", "flag", "sign"]

_ZERO_WIDTH_JOINER = "\u200d"
_JOINERS = frozenset("-'’")
_DECIMAL = frozenset(".,")
# Scripts that put no space between words; each of their characters is a word by itself.
_ALONE = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u2e80", "\u2fdf"),  # radicals
    ("\u3005", "\u3007"),
    ("\u3040", "\u309f"),  # Hiragana
    ("\u3100", "\u312f"),  # Bopomofo
    ("\u3400", "\u4dbf"),  # Han
    ("\u4e00", "\u9fff"),
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
_KANA = (("\u30a1", "\u30ff"), ("\u31f0", "\u31ff"), ("\uff66", "\uff9f"))
_FLAG = (("\U0001f1e6", "\U0001f1ff"),)
_MARK = (("\u200c", "\u200d"), ("\U0001f3fb", "\U0001f3ff"), ("\U000e0020", "\U000e007f"))


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of one of an example's texts.

    Attributes:
        field: which of the texts, from 0.
        start, end: in characters of that text.
    """

    field: int
    start: int
    end: int


def words_of(inputs: Inputs) -> list[Word]:
    """The words of all of an example's texts, in their order."""
    return [
        Word(field, start, end)
        for field, text in enumerate(inputs)
        for start, end in split_words(str(text))
    ]


def split_words(text: str) -> list[tuple[int, int]]:
    """The words of a text as start and end in characters; all but white space is in a word.

    Letters and digits are a word together with the hyphens and apostrophes between them; other
    signs are one each, repeated ones together ("!!!"). In scripts without spaces each character is
    a word, but for runs of Katakana. What belongs to the character before it stays with it: marks
    above and below, and the parts of an emoji.
    """
    found: list[tuple[int, int]] = []
    start, before = -1, "space"
    for place, character in enumerate(text):
        kind: str = _kind(character)
        if start >= 0 and _goes_on(text, place, before, kind):
            before = before if kind in ("mark", "joiner", "sign") else kind
            continue
        if start >= 0:
            found.append((start, place))
        start, before = (-1 if kind == "space" else place), kind
    if start >= 0:
        found.append((start, len(text)))
    return found


def _goes_on(text: str, place: int, before: str, kind: str) -> bool:
    """Whether the character at `place` belongs to the word before it."""
    if kind == "space":
        return False
    if kind == "mark" or text[place - 1] == _ZERO_WIDTH_JOINER:
        return True
    if before == "letter":
        return kind == "letter" or _joins(text, place, kind)
    if before in ("kana", "flag"):
        return kind == before
    return before in ("sign", "joiner") and text[place] == text[place - 1]


def _joins(text: str, place: int, kind: str) -> bool:
    """Whether a sign stands inside a word, as in "don't" and "3.5"."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    if len(around) < 2 or _kind(around[1]) != "letter":
        return False
    return kind == "joiner" or (text[place] in _DECIMAL and around.isdigit())


@lru_cache(maxsize=8192)
def _kind(character: str) -> _Kind:
    if character.isspace():
        return "space"
    for ranges, kind in ((_MARK, "mark"), (_FLAG, "flag")):
        if _within(character, ranges):
            return kind  # type: ignore[return-value]
    if unicodedata.category(character).startswith("M"):
        return "mark"
    if _within(character, _ALONE):
        return "alone"
    if _within(character, _KANA):
        return "kana"
    if character in _JOINERS:
        return "joiner"
    return "letter" if character.isalnum() or character == "_" else "sign"


def _within(character: str, ranges: Sequence[tuple[str, str]]) -> bool:
    return any(first <= character <= last for first, last in ranges)


def keep_words(inputs: Inputs, words: Sequence[Word], kept: NDArray[np.bool_]) -> Inputs:
    """The texts with only some of their words.

    Between two words that are kept stands the white space that stood between them or the words
    left out there, so that no two words grow together.

    Args:
        words: all words of the texts, in their order.
        kept: bool [words].
    """
    texts = []
    for field, value in enumerate(inputs):
        text, parts, gap, end = str(value), [""], "", 0
        for place, word in enumerate(words):
            if word.field != field:
                continue
            gap = gap or text[end : word.start]
            end = word.end
            if kept[place]:
                parts += [gap if len(parts) > 1 else "", text[word.start : end]]
                gap = ""
        texts.append("".join(parts))
    return tuple(texts)


def leave_out_each(inputs: Inputs, words: Sequence[Word]) -> list[Inputs]:
    """The texts without each of n words in turn: as `keep_words` gives them, but quicker.

    Args:
        words: all words of the texts, in their order.
    """
    found: list[Inputs] = []
    for field, value in enumerate(inputs):
        text = str(value)
        own = [word for word in words if word.field == field]
        for place, word in enumerate(own):
            left = text[own[0].start : own[place - 1].end] if place else ""
            right = text[own[place + 1].start : own[-1].end] if place + 1 < len(own) else ""
            gap = ""
            if left and right:
                before = text[own[place - 1].end : word.start]
                gap = before or text[word.end : own[place + 1].start]
            found.append((*inputs[:field], left + gap + right, *inputs[field + 1 :]))
    return found
