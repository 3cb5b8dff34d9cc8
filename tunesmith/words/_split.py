"""Texts as whole words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from tunesmith.types import Inputs
from tunesmith.words._dictionaries import KANA, UNSPACED, ends_in, script_of, within

__all__ = ["Word", "split_words", "words_of"]

_Kind: TypeAlias = Literal["space", "mark", "letter", "joiner", "alone", "kana", "flag", "sign"]

_ZERO_WIDTH_JOINER = "\u200d"
_JOINERS = frozenset("-'’")
_DECIMAL = frozenset(".,")
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
    signs are one each, repeated ones together ("!!!"). Scripts without spaces are cut by a
    dictionary (see `ends_in`); where there is none, each of their characters is a word, but for
    runs of Katakana. What belongs to the character before it stays with it: marks above and below,
    and the parts of an emoji.
    """
    found, unspaced = _pieces(text)
    return _joined(text, found, unspaced) if any(unspaced) else found


def _pieces(text: str) -> tuple[list[tuple[int, int]], list[bool]]:
    """The words without a dictionary, and which of them are of a script without spaces."""
    unspaced: list[bool] = []
    found: list[tuple[int, int]] = []
    start, before, first = -1, "space", "space"
    for place, character in enumerate(text):
        kind: str = _kind(character)
        if start >= 0 and _goes_on(text, place, before, kind):
            before = before if kind in ("mark", "joiner", "sign") else kind
            continue
        if start >= 0:
            found.append((start, place))
            unspaced.append(first in ("alone", "kana"))
        first = kind
        start, before = (-1 if kind == "space" else place), kind
    if start >= 0:
        found.append((start, len(text)))
        unspaced.append(first in ("alone", "kana"))
    return found, unspaced


def _joined(
    text: str, pieces: Sequence[tuple[int, int]], unspaced: Sequence[bool]
) -> list[tuple[int, int]]:
    """The words, those of scripts without spaces put together as a dictionary says.

    A dictionary never cuts what is one piece, so that no mark is torn off its letter.
    """
    script, found, place = script_of(text), [], 0
    while place < len(pieces):
        last = place
        while (
            unspaced[place]
            and last + 1 < len(pieces)
            and unspaced[last + 1]
            and pieces[last + 1][0] == pieces[last][1]
        ):
            last += 1
        start, run_ends = pieces[place][0], [end for _, end in pieces[place : last + 1]]
        if last > place:
            ends = ends_in(text[start : run_ends[-1]], script)
            run_ends = [end for end in run_ends if ends is None or end - start in ends]
        found += list(zip([start, *run_ends], run_ends, strict=False))
        place = last + 1
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
        if within(character, ranges):
            return kind  # type: ignore[return-value]
    if unicodedata.category(character).startswith("M"):
        return "mark"
    if within(character, UNSPACED):
        return "alone"
    if within(character, KANA):
        return "kana"
    if character in _JOINERS:
        return "joiner"
    return "letter" if character.isalnum() or character == "_" else "sign"
