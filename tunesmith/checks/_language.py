"""Which languages the texts are in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from tunesmith.checks._finding import Finding
from tunesmith.checks._subject import Subject

__all__ = ["check_languages", "languages_of"]

_SAMPLE_ROWS = 2_000
_FEWEST_CHARACTERS = 40  # of shorter texts the language cannot be told well
_SURE = 0.95
_FEWEST_ROWS = 3
# Restricted to what is common: among a hundred languages, a short text is easily taken for a rare
# neighbour.
_LANGUAGES = [
    *("ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr"),
    *("hu", "id", "it", "ja", "ko", "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl"),
    *("sv", "th", "tr", "uk", "vi", "zh"),
]


def check_languages(subject: Subject) -> Iterator[Finding]:
    """Finds rows in another language than most, among some two thousand long ones."""
    column = subject.whole_texts
    places = np.flatnonzero(subject.is_complete)
    step = max(1, -(-len(places) // _SAMPLE_ROWS))
    rows: defaultdict[str, list[int]] = defaultdict(list)
    num_told = 0
    for place in places[::step].tolist():
        language = _told(str(column[place].as_py()))
        if language is not None:
            num_told += 1
            rows[language].append(place + 1)
    if len(rows) < 2:
        return
    counts = Counter({language: len(own) for language, own in rows.items()})
    main = counts.most_common(1)[0][0]
    others = {
        language: own
        for language, own in rows.items()
        if language != main and len(own) >= max(_FEWEST_ROWS, 0.002 * num_told)
    }
    if not others:
        return
    shares = ", ".join(
        f"{language} {count / num_told:.1%}"
        for language, count in counts.most_common(8)
        if language == main or language in others
    )
    sampled = f"of {num_told:,} rows looked at" if step > 1 else "of the rows it can be told of"
    yield Finding(
        check="languages",
        severity="note",
        message=f"the texts are in several languages ({shares} {sampled})",
        fix="choose a base model that knows them all with --base, or keep them apart",
        rows=np.array(sorted(row for own in others.values() for row in own), dtype=np.int64),
        column=subject.text[0],
        details=[
            {"row": row, "language": language}
            for language, own in sorted(others.items())
            for row in own
        ],
    )


def languages_of(texts: Iterable[str]) -> Counter[str]:
    """How many of some texts are in each language, of those whose language can be told."""
    return Counter(language for text in texts if (language := _told(text)) is not None)


def _told(text: str) -> str | None:
    """The language of a text (ISO 639-1); None where it cannot be told well."""
    if len(text) < _FEWEST_CHARACTERS and text.isascii():
        return None
    language, probability = _identifier().classify(text)
    return str(language) if probability >= _SURE else None


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = {str(language) for language in identifier.labels}
    identifier.set_languages([language for language in _LANGUAGES if language in known])
    return identifier
