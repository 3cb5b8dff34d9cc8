"""The words that drive each label, over many explanations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.checks import personal_spans
from tunesmith.explanation._results import ExplainedText, Explanation

__all__ = ["Driver", "LabelDrivers", "find_drivers"]


@dataclass(frozen=True, slots=True)
class Driver:
    """A word and what it adds to a label's log-odds.

    Attributes:
        word: in small letters.
        attribution: mean over the rows that it stands in.
        num_rows: how many these are.
    """

    word: str
    attribution: float
    num_rows: int

    def as_dict(self) -> dict[str, Any]:
        return {"word": self.word, "attribution": self.attribution, "num_rows": self.num_rows}


@dataclass(frozen=True, slots=True)
class LabelDrivers:
    """The words that speak for a label, the strongest first.

    Attributes:
        num_rows: rows of which this label was explained.
        words: words that stand in enough of them, and speak for the label on average.
        num_rare: how many words were left out since they stand in too few rows.
    """

    label: str
    num_rows: int
    words: tuple[Driver, ...]
    num_rare: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "num_rows": self.num_rows,
            "num_rare": self.num_rare,
            "words": [word.as_dict() for word in self.words],
        }


def find_drivers(
    texts: Sequence[ExplainedText],
    labels: Sequence[str],
    *,
    min_rows: int = 3,
    max_words: int = 50,
) -> tuple[LabelDrivers, ...]:
    """The words that drive each label, in the order of the labels; none for labels without rows.

    A word that stands in a row several times counts once, with the sum of what it adds there.
    Words within personal data are left out.

    Args:
        min_rows: words in fewer rows of a label are left out, since one row says little.
        max_words: at most so many for each label.
    """
    values: dict[str, defaultdict[str, list[float]]] = {}
    num_rows: dict[str, int] = dict.fromkeys(labels, 0)
    for text in texts:
        for one in text.explanations:
            num_rows[one.label] += 1
            found = values.setdefault(one.label, defaultdict(list))
            for word, value in _by_word(text, one).items():
                found[word].append(value)
    return tuple(
        _of_label(label, num_rows[label], values[label], min_rows, max_words)
        for label in labels
        if num_rows[label]
    )


def _by_word(text: ExplainedText, explanation: Explanation) -> Mapping[str, float]:
    """What each word of a row adds, by the word in small letters."""
    private = {
        field: personal_spans(value) for field, value in zip(text.fields, text.inputs, strict=True)
    }
    sums: defaultdict[str, float] = defaultdict(float)
    for word in explanation.words:
        spans = private[word.field]
        if not any(start < word.end and word.start < end for start, end, _ in spans):
            sums[word.text.casefold()] += word.attribution
    return sums


def _of_label(
    label: str,
    num_rows: int,
    values: Mapping[str, list[float]],
    min_rows: int,
    max_words: int,
) -> LabelDrivers:
    frequent = [
        Driver(word, float(np.mean(own)), len(own))
        for word, own in values.items()
        if len(own) >= min_rows
    ]
    speaking = [driver for driver in frequent if driver.attribution > 0]
    speaking.sort(key=lambda driver: (-driver.attribution, driver.word))
    num_rare = len(values) - len(frequent)
    return LabelDrivers(label, num_rows, tuple(speaking[:max_words]), num_rare)
