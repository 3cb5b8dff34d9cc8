"""Texts that a model was not made for, and how well it tells them from its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tunesmith import samples
from tunesmith.data import read_table
from tunesmith.evaluation import ScopeSection, scope_section
from tunesmith.recipes._listener import Listener
from tunesmith.types import Dataset, Inputs

if TYPE_CHECKING:
    from tunesmith.recipes._examine import Examined

__all__ = ["outside_texts", "scope"]

_TEXTS_A_KIND = 80
_MOST_ROWS = 20_000
_MOST_WORDS = 60
_KNOWN_SHARE = 0.02
"""A sample of which more texts are among the model's own rows is no other domain to it."""


def scope(subject: Examined, listener: Listener) -> ScopeSection | None:
    """Asks the model for texts of other kinds; None where it has no threshold for them."""
    own = getattr(subject.task, "scope", None)
    if own is None:
        return None
    listener.stage("texts of other kinds")
    num_fields = len(subject.task.fields)
    outside = outside_texts(subject.dataset, subject.known, seed=subject.seed)
    scores = {
        kind: subject.ask(_as_inputs(texts, num_fields)) for kind, texts in outside.items() if texts
    }
    if not scores:
        return None
    return scope_section(
        subject.task,
        own,
        subject.scores[:_MOST_ROWS],
        scores,
        confidence=subject.confidence,
        resamples=subject.resamples,
        seed=subject.seed,
    )


def outside_texts(
    dataset: Dataset, known: Dataset | None, *, seed: int = 0
) -> Mapping[str, list[str]]:
    """Kind → texts of that kind that are not like the rows.

    They are texts of the embedded samples (those that the rows are not taken from), everyday
    sentences in many languages, and words of the rows' own texts thrown together.

    Args:
        dataset: the rows that the model is judged on.
        known: the rows that it was trained on, where they are at hand.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    domains = [
        [str(text) for text in read_table(sample.path).column(sample.text) if text]
        for sample in samples.SAMPLES
    ]
    everyday = Path(samples.__file__).with_name("everyday.txt").read_text(encoding="utf-8")
    foreign = {*everyday.splitlines(), *(text for texts in domains for text in texts)}
    parts = [part.columns[0] for part in (dataset, known) if part is not None]
    own = {text for column in parts for text in column if text in foreign}
    drawn: list[str] = []
    for texts in domains:
        if sum(text in own for text in texts) <= _KNOWN_SHARE * len(texts):
            chosen = generator.choice(len(texts), min(_TEXTS_A_KIND // 2, len(texts)), False)
            drawn += [texts[place] for place in chosen]
    return {
        "other domains": drawn,
        "everyday, many languages": [text for text in everyday.splitlines() if text not in own],
        "own words, mixed": _mixed([str(value) for value in dataset.columns[0]], generator),
    }


def _mixed(texts: Sequence[str], generator: np.random.Generator) -> list[str]:
    """Texts as long as some of these, of words (or characters) that stand in any of them."""
    drawn = generator.choice(len(texts), min(len(texts), 20 * _TEXTS_A_KIND), replace=False)
    pieces = [texts[place].split() for place in drawn]
    spaced = sum(map(len, pieces)) >= 2 * len(pieces)
    if not spaced:
        pieces = [list(texts[place].strip()) for place in drawn]
    words = np.array([word for own in pieces for word in own], dtype=object)
    lengths = [min(len(own), _MOST_WORDS) for own in pieces[:_TEXTS_A_KIND] if len(own) > 1]
    if not len(words):
        return []
    joint = " " if spaced else ""
    return [joint.join(generator.choice(words, length)) for length in lengths]


def _as_inputs(texts: Sequence[str], num_fields: int) -> list[Inputs]:
    """One text for each field; a second field gets another text of the same kind."""
    return [
        tuple(texts[(place + field) % len(texts)] for field in range(num_fields))
        for place in range(len(texts))
    ]
