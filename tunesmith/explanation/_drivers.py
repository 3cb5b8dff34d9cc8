"""The words that drive each label, over many explanations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import personal_spans
from tunesmith.explanation._results import ExplainedText, Explanation

__all__ = ["Driver", "LabelDrivers", "find_drivers"]

_FALSE_SHARE = 0.1
_PRIOR_FREEDOM = 4
"""How many further rows the variance of all words counts as beside a word's own."""


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
        words: words that stand in enough of them, and speak for the label and for no other as much.
        num_rare: how many words were left out since they stand in too few rows.
        num_unspecific: how many were left out since they speak for it by chance, or for other
            labels as well: most are stop words and punctuation.
    """

    label: str
    num_rows: int
    words: tuple[Driver, ...]
    num_rare: int
    num_unspecific: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "num_rows": self.num_rows,
            "num_rare": self.num_rare,
            "num_unspecific": self.num_unspecific,
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
    Words within personal data are left out, and words that drive nothing in particular: a word must
    add something in the label's rows beyond chance, and more than in rows of other labels. Among
    the words of a label one in ten may be there by chance (Benjamini and Hochberg 1995).

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
        _of_label(label, num_rows, values, min_rows, max_words)
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
    num_rows: Mapping[str, int],
    values: Mapping[str, Mapping[str, list[float]]],
    min_rows: int,
    max_words: int,
) -> LabelDrivers:
    own = values[label]
    others = [values[other] for other in values if other != label]
    frequent = {word: np.array(found) for word, found in own.items() if len(found) >= min_rows}
    speaking = [word for word, found in frequent.items() if found.mean() > 0]
    chances = _chances(
        [frequent[word] for word in speaking],
        [sum(len(one.get(word, ())) for one in others) for word in speaking],
        num_rows[label],
        sum(num_rows.values()) - num_rows[label],
    )
    drivers = [
        Driver(word, float(frequent[word].mean()), len(frequent[word]))
        for word, chance in zip(speaking, chances, strict=True)
        if chance <= _FALSE_SHARE and frequent[word].mean() > _usual_mean(word, others)
    ]
    drivers.sort(key=lambda driver: (-driver.attribution, driver.word))
    return LabelDrivers(
        label=label,
        num_rows=num_rows[label],
        words=tuple(drivers[:max_words]),
        num_rare=len(own) - len(frequent),
        num_unspecific=len(speaking) - len(drivers),
    )


def _usual_mean(word: str, others: Sequence[Mapping[str, list[float]]]) -> float:
    """What a word adds for other labels: their median, for it may drive several of them."""
    return float(np.median([np.mean(one.get(word, (0.0,))) for one in others])) if others else 0.0


def _chances(
    found: Sequence[NDArray[np.float64]],
    num_elsewhere: Sequence[int],
    num_rows: int,
    num_others: int,
) -> NDArray[np.float64]:
    """The false discovery rate at which each of m words is held for a driver, float64 [m].

    A word must add more than nothing, by a one-sided t test; and it must stand in more of the
    label's rows than of others, by Fisher's exact test: rows with a word that drives a label are
    given it more often. The weaker of the two counts. Three rows tell little of how much a word's
    values scatter, so the variance of each is drawn towards that of all words (Smyth 2004).

    Args:
        found: of each word, what it adds in the label's rows.
        num_elsewhere: in how many rows of other labels it stands.
        num_rows, num_others: rows of this label, and of others.
    """
    from scipy import stats

    if not found:
        return np.empty(0)
    size = np.array([len(own) for own in found])
    squares = np.array([_squares(own) for own in found])
    usual = squares.sum() / max(1, (size - 1).sum())
    freedom = size - 1 + _PRIOR_FREEDOM
    deviation = np.sqrt((squares + _PRIOR_FREEDOM * usual) / freedom) + 1e-12
    mean = np.array([own.mean() for own in found])
    chance = stats.t.sf(mean * np.sqrt(size) / deviation, freedom)
    if num_others:
        in_all = size + np.array(num_elsewhere)
        drawn = stats.hypergeom.sf(size - 1, num_rows + num_others, in_all, num_rows)
        chance = np.maximum(chance, drawn)
    return np.asarray(stats.false_discovery_control(chance))


def _squares(values: NDArray[np.float64]) -> float:
    return float(((values - values.mean()) ** 2).sum())
