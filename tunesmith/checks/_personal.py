"""Personal data: counted and located, never printed whole.

A pattern finds candidates, and a check sum decides where there is one: Luhn's for cards (ISO/IEC
7812-1), the remainder by 97 for IBANs (ISO 13616), and those of national numbers.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._repeats import Made
from tunesmith.checks._subject import Subject

__all__ = ["check_personal_data", "excerpt", "redacted"]


def _always(_: str) -> bool:
    return True


def _luhn(text: str) -> bool:
    digits = [int(one) for one in text if one.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    bare = "".join(text.split()).upper()
    if not 15 <= len(bare) <= 34:
        return False
    number = "".join(str(int(one, 36)) for one in bare[4:] + bare[:4])
    return int(number) % 97 == 1


def _chinese_id(text: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], weights, strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def _phone(text: str) -> bool:
    digits = [one for one in text if one.isdigit()]
    return 8 <= len(digits) <= 15 and len(set(digits)) > 2


def _us_social_security(text: str) -> bool:
    area, group, serial = re.split(r"[- ]", text)
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _ip(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_private
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of personal data: its name, a pattern that RE2 and Python both read, a check."""

    name: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool]


_MORE_DIGITS = re.compile(r"\d[ .-]?$")  # the number goes on to the left: it is another one

_CONTEXT = 512  # characters; longer than what any pattern but a strange e-mail address takes

# Earlier kinds win where two meet: a card number looks like a phone number as well.
_KINDS = tuple(
    _Kind(name, re.compile(pattern), is_one)
    for name, pattern, is_one in (
        (
            "e-mail",
            r"\b[\w.%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b",
            _always,
        ),
        ("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _iban),
        ("card number", r"\b\d(?:[ -]?\d){12,18}\b", _luhn),
        ("chinese id", r"\b[1-9]\d{5}(?:19|20)\d{2}[01]\d[0-3]\d{4}[0-9Xx]\b", _chinese_id),
        ("us social security number", r"\b\d{3}-\d{2}-\d{4}\b", _us_social_security),
        (
            "uk national insurance number",
            r"\b[A-CEGHJ-PR-TW-Z]{2}(?: ?\d{2}){3} ?[A-D]\b",
            _always,
        ),
        ("ip address", r"\b(?:\d{1,3}\.){3}\d{1,3}\b", _ip),
        (
            "phone number",
            r"(?:\+|\b00)\d{1,3}[ .-]?(?:\(0?\d{1,4}\)[ .-]?)?\d{2,5}(?:[ .-]?\d{2,5}){1,4}\b",
            _phone,
        ),
        ("phone number", r"(?:\(\d{3}\) ?|\b\d{3}[-.])\d{3}[-.]\d{4}\b", _phone),
        ("phone number", r"\b1[3-9]\d{9}\b", _phone),
        ("phone number", r"\b0\d{2,4}[ /-]\d{3,4}(?:[ -]?\d{2,4}){0,2}\b", _phone),
    )
)
_NAMES = sorted({kind.name for kind in _KINDS})
_IN_ALL = "[0-9@]"  # no kind does without a digit or this sign, and few texts have one


def check_personal_data(subject: Subject) -> Iterator[Finding]:
    """Finds e-mail addresses, phone numbers, cards, IBANs, national numbers and IP addresses."""
    for name in subject.text:
        # Six numbers for each hit: row, kind, start, end, first and last character.
        hits = array("q")
        for place in _candidates(subject, name).tolist():
            text = subject.text_at(name, place)
            for start, end, kind in _spans(text):
                ends = (ord(text[start]), ord(text[end - 1]))
                hits.extend((place + 1, _NAMES.index(kind), start, end, *ends))
        if not hits:
            continue
        table = np.frombuffer(hits, dtype=np.int64).reshape(-1, 6)
        every = np.unique(table[:, 0])
        rows_of = [np.unique(table[table[:, 1] == kind, 0]) for kind in range(len(_NAMES))]
        counts = ", ".join(
            f"{kind} in {len(own):,}" for kind, own in zip(_NAMES, rows_of, strict=True) if len(own)
        )
        yield Finding(
            check="personal-data",
            severity="warning",
            message=f"in column {name!r}, {counted(len(every), 'text holds', 'texts hold')}"
            f" personal data (rows: {counts})",
            fix="put placeholders in its stead, unless you may keep it and the model needs it",
            rows=every,
            column=name,
            step="redact-personal-data",
            details=_shown(table),
        )


def _candidates(subject: Subject, name: str) -> NDArray[np.int64]:
    """Places of the rows in which a pattern is found."""
    found = [np.zeros(0, dtype=np.int64)]
    for start, piece in subject.pieces(subject.texts(name)):
        likely = np.flatnonzero(pc.fill_null(pc.match_substring_regex(piece, _IN_ALL), False))
        texts = piece.take(pa.array(likely))
        holds = np.zeros(len(likely), dtype=bool)
        for kind in _KINDS if len(likely) else ():
            holds |= np.asarray(pc.match_substring_regex(texts, kind.pattern.pattern))
        found.append(start + likely[holds])
    return np.concatenate(found)


def _shown(hits: NDArray[np.int64]) -> Made[dict[str, Any]]:
    def make(number: int) -> dict[str, Any]:
        row, kind, start, end, first, last = hits[number].tolist()
        shown = _masked(chr(first) + chr(last))
        return {"row": row, "kind": _NAMES[kind], "start": start, "end": end, "shown": shown}

    return Made(len(hits), make)


def _spans(text: str) -> list[tuple[int, int, str]]:
    """Where personal data stands in a text: start, end, kind; in order, none within another."""
    found: list[tuple[int, int, str]] = []
    for kind in _KINDS:
        for hit in kind.pattern.finditer(text):
            apart = all(hit.end() <= start or end <= hit.start() for start, end, _ in found)
            is_part = bool(_MORE_DIGITS.search(text[: hit.start()]))
            if apart and not is_part and kind.is_one(hit[0]):
                found.append((hit.start(), hit.end(), kind.name))
    return sorted(found)


def redacted(text: str) -> str:
    """The text with placeholders: the same value has the same one, "[e-mail 3f9a]", everywhere.

    The four digits are of a hash, which tells values of one file apart; they are no protection of
    a value that somebody guesses.
    """
    parts, end = [], 0
    for start, stop, kind in _spans(text):
        value = "".join(text[start:stop].casefold().split())
        digest = hashlib.sha256(value.encode()).hexdigest()[:4]
        parts += [text[end:start], f"[{kind} {digest}]"]
        end = stop
    return "".join([*parts, text[end:]])


def excerpt(text: str, length: int, start: int = 0) -> list[tuple[str, bool]]:
    """A piece of a text, about `length` characters from `start`, without personal data.

    Returns:
        Runs of text in their order, and of each whether it is the name of what it stands for.
    """
    # Some context on both sides, so that nothing is cut in two and then not known for what it is.
    left = max(0, start - _CONTEXT)
    window = text[left : start + length + _CONTEXT]
    place, stop = start - left, min(start - left + length, len(window))
    runs: list[tuple[str, bool]] = []
    for begin, end, kind in _spans(window):
        if begin < stop and end > place:
            runs += [(window[place:begin], False), (kind, True)]
            place = end
    runs.append((window[place:stop], False))
    return [run for run in runs if run[0]]


def _masked(value: str) -> str:
    """A value that can be recognised by who knows it and read by nobody: "j…m", "4…2"."""
    return f"{value[0]}…{value[-1]}"
