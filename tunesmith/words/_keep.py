"""Texts with some of their words left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Inputs
from tunesmith.words._split import Word

__all__ = ["keep_words", "leave_out_each"]


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
