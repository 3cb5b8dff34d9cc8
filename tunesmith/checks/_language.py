"""Which languages the texts are in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._subject import Subject

__all__ = ["check_languages", "languages_of", "main_language", "tell_language"]

_SAMPLE_ROWS = 2_000
_FEWEST_CHARACTERS = 40  # of shorter texts the language cannot be told well
_FIRST_CHARACTERS = 1_000
_SURE = 0.95
_FEWEST_ROWS = 3
_VERY_SURE = 0.99  # of a language with fewer rows; 5,390 English texts of four data sets gave none
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
    rows: defaultdict[str, dict[int, bool]] = defaultdict(dict)  # row → whether it is quite sure
    num_told = 0
    sample = places[::step].tolist()
    told = _told(str(column[place].as_py()) for place in sample)
    for place, (language, probability) in zip(sample, told, strict=True):
        if probability >= _SURE:
            num_told += 1
            rows[language][place + 1] = probability >= _VERY_SURE
    if len(rows) < 2:
        return
    counts = Counter({language: len(own) for language, own in rows.items()})
    main = counts.most_common(1)[0][0]
    many = max(_FEWEST_ROWS, 0.002 * num_told)
    others = {
        language: [row for row, is_sure in own.items() if is_sure or len(own) >= many]
        for language, own in rows.items()
        if language != main and (len(own) >= many or any(own.values()))
    }
    if not others:
        return
    shares = ", ".join(
        f"{language} {count / num_told:.1%}"
        if count >= many
        else f"{language} {counted(count, 'row', 'rows')}"
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


def main_language(texts: Iterable[str]) -> str | None:
    """The language that most texts are in, by its code such as "en"; None where none can be told.

    Short texts are put together with others, since one alone tells little.
    """
    tell = _identifier()
    counts: Counter[str] = Counter()
    joined = ""
    for text in texts:
        joined = f"{joined} {text[:_FIRST_CHARACTERS]}".strip()
        if len(joined) >= _FEWEST_CHARACTERS:
            counts[tell.classify(joined)[0]] += 1
            joined = ""
    if joined and not counts:
        counts[tell.classify(joined)[0]] += 1
    return counts.most_common(1)[0][0] if counts else None


def languages_of(texts: Iterable[str]) -> Counter[str]:
    """How many of some texts are in each language, of those whose language can be told."""
    return Counter(language for language in tell_language(texts) if language is not None)


def tell_language(texts: Iterable[str]) -> Iterator[str | None]:
    """The language of each text as ISO 639-1 has it, such as "en"; None where it is not sure."""
    for language, probability in _told(texts):
        yield language if probability >= _SURE else None


def _told(texts: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Each text's language, and how sure that is: not at all where a text is too short to tell."""
    identifier = _identifier()
    for text in texts:
        if len(text) < _FEWEST_CHARACTERS and text.isascii():
            yield "", 0.0
        else:
            language, probability = identifier.classify(text)
            yield str(language), float(probability)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = {str(language) for language in identifier.labels}
    identifier.set_languages([language for language in _LANGUAGES if language in known])
    return identifier
