"""Changes of a text that should not change its label, in CheckList's manner (Ribeiro et al. 2020).

A perturbation is a function from a text and a source of chance to the changed text. Where there is
nothing in a text that it could change, it gives the text as it is. One of one's own is such a
function, too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tunesmith.evaluation._word_lists import (
    CHINESE_SURNAMES,
    CHINESE_SYNONYMS,
    CONTRACTIONS,
    NAMES,
    SYNONYMS,
)
from tunesmith.words import split_words

__all__ = ["PERTURBATIONS", "Perturbation"]

Perturbation: TypeAlias = Callable[[str, random.Random], str]
"""A text and a source of chance → the text changed, or as it is where nothing can be."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"[A-Za-z]{4,}")
_NUMBER = re.compile(r"(?<![\w.,])\d{2,}(?![\w.,]?\d)(?!\w)")
_WORDS_A_TYPO = 10
_WIDE = "，。！？：；（）"
_NARROW = ",.!?:;()"
_CHINESE_NAME = re.compile(f"([{CHINESE_SURNAMES}])(?=先生|女士|小姐|老师|经理|医生)")


def typos(text: str, chance: random.Random) -> str:
    """One word in ten, and one at least, with a neighbouring key hit or two letters swapped.

    Only words of four Latin letters or more; a word's first letter stays.
    """
    words = list(_WORD.finditer(text))
    for word in sorted(
        chance.sample(words, -(-len(words) // _WORDS_A_TYPO)), key=lambda hit: -hit.start()
    ):
        text = text[: word.start()] + _mistyped(word[0], chance) + text[word.end() :]
    return text


def letter_case(text: str, chance: random.Random) -> str:
    """All small letters, or all capitals."""
    changed = [one for one in (text.lower(), text.upper()) if one != text]
    return chance.choice(changed) if changed else text


def punctuation(text: str, _: random.Random) -> str:
    """The mark at the end taken away; where there is none, a full stop put there."""
    bare = text.rstrip()
    if not bare:
        return text
    cut = bare.rstrip(".!?。！？…")
    if cut != bare:
        return cut or text
    if not bare[-1].isalnum():
        return text
    return bare + ("。" if _CJK.match(bare[-1]) else ".")


def white_space(text: str, chance: random.Random) -> str:
    """A space before and after, and one of the spaces between words twice."""
    spaces = [place for place, character in enumerate(text) if character == " "]
    if spaces:
        place = chance.choice(spaces)
        text = f"{text[:place]} {text[place:]}"
    return f" {text} "


def contractions(text: str, _: random.Random) -> str:
    """ "do not" becomes "don't", and the other way round."""
    changed = _exchanged(text.replace("’", "'"), CONTRACTIONS)
    return text if changed == text.replace("’", "'") else changed


def synonyms(text: str, _: random.Random) -> str:
    """Words of a short list replaced by what means the same, in English and Chinese."""
    if not _CJK.search(text):
        return _exchanged(text, SYNONYMS)
    pairs = dict(CHINESE_SYNONYMS) | {b: a for a, b in reversed(CHINESE_SYNONYMS)}
    starts, ends = map(set, zip(*split_words(text), strict=True))

    def exchange(hit: re.Match[str]) -> str:
        # 特别 in 特别行政区 is part of another word.
        return pairs[hit[0]] if hit.start() in starts and hit.end() in ends else hit[0]

    return re.sub("|".join(sorted(pairs, key=len, reverse=True)), exchange, text)


def names(text: str, chance: random.Random) -> str:
    """Common given names replaced by others, one name by the same one throughout."""
    for group in NAMES:
        present = [name for name in group if re.search(rf"\b{name}\b", text)]
        absent = [name for name in group if name not in present]
        others = dict(zip(present, chance.sample(absent, len(absent)), strict=False))
        if others:
            pattern = r"\b(?:" + "|".join(others) + r")\b"
            text = re.sub(pattern, lambda hit, known=others: known[hit[0]], text)  # type: ignore[misc]
    return _CHINESE_NAME.sub(lambda hit: chance.choice(CHINESE_SURNAMES.replace(hit[0], "")), text)


def numbers(text: str, chance: random.Random) -> str:
    """Numbers of two digits and more replaced by others with as many digits."""

    def other(hit: re.Match[str]) -> str:
        low = 10 ** (len(hit[0]) - 1)
        found = hit[0]
        while found == hit[0]:
            found = str(chance.randrange(low, 10 * low))
        return found

    return _NUMBER.sub(other, text)


def character_width(text: str, _: random.Random) -> str:
    """In Chinese and Japanese, full-width marks made half-width; where there are none, reversed."""
    if not _CJK.search(text):
        return text
    narrowed = text.translate(str.maketrans(_WIDE, _NARROW))
    return narrowed if narrowed != text else text.translate(str.maketrans(_NARROW, _WIDE))


PERTURBATIONS: Mapping[str, Perturbation] = {
    "typos": typos,
    "letter case": letter_case,
    "punctuation": punctuation,
    "white space": white_space,
    "contractions": contractions,
    "synonyms": synonyms,
    "names": names,
    "numbers": numbers,
    "character width": character_width,
}
"""Name → what is done to the texts."""


def _mistyped(word: str, chance: random.Random) -> str:
    place = chance.randrange(1, len(word))
    swapped = word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]
    if chance.random() < 0.5 and place > 1 and swapped != word:
        return swapped
    letter = word[place]
    row = next(row for row in _ROWS if letter.lower() in row)
    at = row.index(letter.lower())
    neighbour = chance.choice([row[i] for i in (at - 1, at + 1) if 0 <= i < len(row)])
    return word[:place] + (neighbour.upper() if letter.isupper() else neighbour) + word[place + 1 :]


def _exchanged(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Each of two words replaced by the other, with its first letter large where it was."""
    other = {b: a for a, b in reversed(pairs)} | dict(reversed(pairs))
    choice = "|".join(re.escape(word) for word in sorted(other, key=len, reverse=True))

    def exchange(hit: re.Match[str]) -> str:
        found = other[hit[0].lower()]
        if hit[0].isupper() and len(hit[0]) > 1:
            return found.upper()
        return found[0].upper() + found[1:] if hit[0][0].isupper() else found

    return re.sub(rf"(?<![\w'])(?:{choice})(?![\w'])", exchange, text, flags=re.IGNORECASE)
