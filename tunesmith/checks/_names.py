"""Names of persons, by a spaCy model that Presidio reads (the `presidio` extra).

No pattern tells a name from another word. So names are looked for only where somebody asks for it:
it takes a model of the texts' language, and minutes for a long file.

    with looking_for_names(Names()):
        open_names(subject)
        findings = run_checks(subject)  # names are personal data here, in messages too
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tunesmith.checks._language import main_language
from tunesmith.checks._masking import NAMES
from tunesmith.checks._subject import Subject
from tunesmith.errors import ConfigError

__all__ = ["Names", "looking_for_names", "names_in_use", "open_names"]

_PERSON = {"PER", "PERSON", "PATIENT", "STAFF", "HCW"}
"""What models call a person; Presidio's `NerModelConfiguration` lists them."""
_SIZES = ("lg", "md", "sm", "trf")  # the best that is fast first
_ANY_LANGUAGE = "xx"
_NOT_NEEDED = ("parser", "tagger", "morphologizer", "attribute_ruler", "lemmatizer", "senter")
_SAMPLE_ROWS = 200
_TEXTS_AT_ONCE = 256
_LONGEST = 50_000  # characters; spaCy refuses a million, and takes a gigabyte for a tenth of it
_WORD = re.compile(r"\w+")
_PLACEHOLDER = re.compile(r"\[[a-z -]+ [0-9a-f]{4}\]")


class Names:
    """Finds names of persons in texts.

    Attributes:
        model: a spaCy model, by its package or its folder; None to take one that is installed.
        missing: why none are found, and how to mend it; None where they are.
    """

    def __init__(self, model: str | None = None) -> None:
        self.model = model
        self.missing: tuple[str, str] | None = ("no texts were looked at", "run the checks")
        self._engine: Any = None
        self._known: dict[str, set[str]] = {}  # first word → names that begin with it

    def open(self, language: str) -> None:
        """Loads the model for a language.

        Args:
            language: its code by ISO 639-1, such as "en".

        Raises:
            ConfigError: the model that was named is none.
        """
        if self._engine is not None:
            return
        if find_spec("presidio_analyzer") is None or find_spec("spacy") is None:
            install = "pip install 'tunesmith[presidio]'"
            self.missing = (
                "presidio-analyzer is not installed",
                f"{install}, then python -m spacy download {_usual_model(language)}",
            )
            return
        model = self.model or _installed_model(language)
        if model is None:
            self.missing = (
                f"no spaCy model for these texts (language {language!r}) is installed",
                f"python -m spacy download {_usual_model(language)}; --names-model names another",
            )
            return
        self._engine, self.missing = _load(model), None

    def find(self, texts: Iterable[str]) -> Iterator[list[tuple[int, int]]]:
        """Where names stand in each text: start and end of each, in order."""
        if self._engine is None:
            yield from ([] for _ in texts)
            return
        every = iter(texts)
        while batch := list(islice(every, _TEXTS_AT_ONCE)):
            cuts = [_cuts(text) for text in batch]
            pieces = [t[a:b] for t, own in zip(batch, cuts, strict=True) for a, b in pairwise(own)]
            read = iter(self._engine.process_batch(pieces, "any", batch_size=_TEXTS_AT_ONCE))
            for text, own in zip(batch, cuts, strict=True):
                found = []
                for start, _ in pairwise(own):
                    entities = next(read)[1].entities
                    found += [(start + e.start_char, start + e.end_char) for e in entities]
                yield self._kept(text, found)

    def places(self, text: str) -> list[tuple[int, int]]:
        """The same of one text that is shown; with names that were found in another before.

        A piece of a text tells less than the whole: what was a name there is one here.
        """
        found = next(self.find([text]), [])
        for word in _WORD.finditer(text) if self._known else ():
            for name in self._known.get(word[0], ()):
                end = word.start() + len(name)
                if text.startswith(name, word.start()) and not text[end : end + 1].isalnum():
                    found.append((word.start(), end))
        return _apart(found)

    def _kept(self, text: str, found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Places that hold letters and no placeholder; their names are known from now on."""
        masked = [hit.span() for hit in _PLACEHOLDER.finditer(text)]
        kept = []
        for start, end in _apart(found):
            if any(start < after and before < end for before, after in masked):
                continue
            first = _WORD.search(text, start, end)
            if first is not None and first[0][0].isalpha():
                self._known.setdefault(first[0], set()).add(text[first.start() : end])
                kept.append((first.start(), end))
        return kept


@contextmanager
def looking_for_names(names: Names | None) -> Iterator[None]:
    """Within, names are personal data as well, once `open_names` has seen the texts.

    Args:
        names: what finds them; None for as it is without.
    """
    token = NAMES.set(names)
    try:
        yield
    finally:
        NAMES.reset(token)


def names_in_use() -> Names | None:
    """What finds names here; None where nobody asked for it."""
    names = NAMES.get()
    assert names is None or isinstance(names, Names)
    return names


def open_names(subject: Subject) -> None:
    """Loads the model for the language of a subject's texts, where names are looked for.

    Raises:
        ConfigError: the model that was named is none.
    """
    names = names_in_use()
    if names is None:
        return
    places = np.flatnonzero(subject.is_complete)
    step = max(1, -(-len(places) // _SAMPLE_ROWS))
    texts = subject.whole_texts.take(pa.array(places[::step])).to_pylist()
    names.open(main_language(texts) or "en")


def _usual_model(language: str) -> str:
    kind = "web" if language in ("en", "zh") else "news"
    return f"{language}_core_{kind}_sm"


def _installed_model(language: str) -> str | None:
    """The best model of a language that is installed, else one for many languages."""
    import spacy

    def rank(name: str) -> tuple[bool, int]:
        size = name.rpartition("_")[2]
        return name.startswith(_ANY_LANGUAGE), _SIZES.index(size) if size in _SIZES else len(_SIZES)

    wanted = (f"{language}_", f"{_ANY_LANGUAGE}_")
    return min(
        (name for name in spacy.util.get_installed_models() if name.startswith(wanted)),
        key=rank,
        default=None,
    )


def _load(model: str) -> Any:
    """Presidio's engine over a spaCy model of this machine.

    Raises:
        ConfigError: there is no such model, or it finds no persons.
    """
    import spacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    mend = "name an installed package such as en_core_web_sm, or a folder that spaCy wrote"
    # Presidio would download what is not there.
    if not (spacy.util.is_package(model) or Path(model).is_dir()):
        raise ConfigError("there is no such spaCy model", where=model, mend=mend)
    engine = SpacyNlpEngine([{"lang_code": "any", "model_name": model}], NerModelConfiguration())
    try:
        engine.load()
    except (OSError, ValueError, ImportError) as error:  # what spacy.load says of a bad folder
        reason = str(error).splitlines()[0]
        raise ConfigError(f"is no spaCy model: {reason}", where=model, mend=mend) from error
    nlp = engine.get_nlp("any")
    labels = {label for own in nlp.pipe_labels.values() for label in own}
    if "ner" in nlp.pipe_names:
        nlp.select_pipes(disable=[name for name in _NOT_NEEDED if name in nlp.pipe_names])
    if not labels & _PERSON:
        raise ConfigError("is a spaCy model that knows no persons", where=model, mend=mend)
    engine.ner_model_configuration.labels_to_ignore = labels - _PERSON
    return engine


def _cuts(text: str) -> list[int]:
    """Where a long text is cut into pieces, at white space where there is some."""
    cuts = [0]
    while len(text) - cuts[-1] > _LONGEST:
        end = cuts[-1] + _LONGEST
        space = text.rfind(" ", cuts[-1] + _LONGEST // 2, end)
        cuts.append(end if space < 0 else space)
    return [*cuts, len(text)]


def _apart(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in order, the longer of two that meet."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda one: (one[0] - one[1], one[0])):
        if all(end <= other or after <= start for other, after in kept):
            kept.append((start, end))
    return sorted(kept)
