"""Where words end in scripts that put no space between them, by the dictionaries of libraries."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Literal, TypeAlias

__all__ = ["KANA", "UNSPACED", "Script", "ends_in", "missing_dictionary", "script_of", "within"]

Script: TypeAlias = Literal["chinese", "japanese", "southeast"]
"""Which dictionary a text needs; "southeast": Thai, Lao, Burmese, Khmer."""

_SOUTHEAST = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))
_HIRAGANA = (("\u3040", "\u309f"),)
_CHINESE = (
    ("\u2e80", "\u2fdf"),  # radicals
    ("\u3005", "\u3007"),
    ("\u3100", "\u312f"),  # Bopomofo
    ("\u3400", "\u4dbf"),  # Han
    ("\u4e00", "\u9fff"),
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
UNSPACED = (*_SOUTHEAST, *_HIRAGANA, *_CHINESE)
"""First and last characters of scripts that put no space between words, without `KANA`."""
KANA = (("\u30a1", "\u30ff"), ("\u31f0", "\u31ff"), ("\uff66", "\uff9f"))
"""Katakana, of which a run is mostly one word."""

_JAPANESE_SHARE = 0.1  # of kana among kana and Han; a Chinese text has one の at the most
_LOCALES = {"chinese": "zh", "japanese": "ja", "southeast": "th"}  # ICU goes by the script itself


def _pattern(*ranges: tuple[str, str]) -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{first}-{last}" for first, last in ranges) + "]")


_ANY = _pattern(*UNSPACED, *KANA)
_OF_SOUTHEAST, _OF_CHINESE = _pattern(*_SOUTHEAST), _pattern(*_CHINESE)
_OF_KANA = _pattern(*_HIRAGANA, *KANA)


def within(character: str, ranges: Sequence[tuple[str, str]]) -> bool:
    """Whether a character lies in one of the ranges, both ends among them."""
    return any(first <= character <= last for first, last in ranges)


def script_of(text: str) -> Script | None:
    """Which dictionary a text needs; None where its words are told by spaces."""
    if text.isascii() or not _ANY.search(text):
        return None
    if _OF_SOUTHEAST.search(text):
        return "southeast"
    kana, han = len(_OF_KANA.findall(text)), len(_OF_CHINESE.findall(text))
    return "japanese" if kana >= _JAPANESE_SHARE * (kana + han) else "chinese"


def ends_in(run: str, script: Script | None) -> set[int] | None:
    """Where the words of a run of characters without a space end, in characters.

    Chinese is cut by jieba's dictionary (rjieba), or by that of ICU where only this is installed;
    Japanese, Thai, Lao, Burmese and Khmer by ICU's (icu4py). None where neither can do it.
    """
    if script == "chinese" and _is_installed("rjieba"):
        import rjieba

        return _ends(rjieba.cut(run))
    if script is not None and _is_installed("icu4py"):
        from icu4py.breakers import WordBreaker

        return _ends(WordBreaker(run, _LOCALES[script]))  # its own offsets are of UTF-16
    return None


def _ends(words: Iterable[str]) -> set[int]:
    return set(accumulate(len(word) for word in words))


def missing_dictionary(texts: Iterable[str]) -> str:
    """What to install for whole words of these texts; empty where nothing is missing."""
    scripts = {script for text in texts if (script := script_of(text)) is not None}
    if not scripts or _is_installed("icu4py"):
        return ""
    if scripts == {"chinese"}:
        if _is_installed("rjieba"):
            return ""
        return "each Chinese character is a word here: pip install rjieba tells words apart"
    if scripts <= {"chinese", "japanese"}:
        what = "Japanese character"
    else:
        what = "character of scripts without spaces"
    return f"each {what} is a word here: pip install 'tunesmith[words]' tells words apart"


@lru_cache(maxsize=4)
def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
