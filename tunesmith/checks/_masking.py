"""What personal data looks like, and texts without it.

A pattern finds candidates, and a check sum decides where there is one: Luhn's for cards (ISO/IEC
7812-1), the remainder by 97 for IBANs (ISO 13616), and those of national numbers.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from tunesmith.checks._national import NATIONAL

__all__ = ["KINDS", "NAME", "NAMES", "excerpt", "redacted", "spans"]

NAME = "name"


class _FindsNames(Protocol):
    def places(self, text: str) -> Sequence[tuple[int, int]]: ...


NAMES: ContextVar[_FindsNames | None] = ContextVar("NAMES", default=None)
"""What finds names of persons, where somebody asked for it; see `_names.looking_for_names`."""


def _always(_: str) -> bool:
    return True


_CARD_LENGTHS = {
    "2": (16,), "30": (14,), "34": (15,), "35": (16,), "36": (14,), "37": (15,), "38": (14,),
    "39": (14,), "4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19),
}  # fmt: skip
"""How many digits cards have, by those that they begin with."""


def _card(text: str) -> bool:
    digits = [int(one) for one in text if one.isdigit()]
    first, second = str(digits[0]), "".join(map(str, digits[:2]))
    if len(digits) not in _CARD_LENGTHS.get(first, _CARD_LENGTHS.get(second, ())):
        return False
    doubled = [2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    bare = "".join(text.split()).upper()
    if not 15 <= len(bare) <= 34:
        return False
    number = "".join(str(int(one, 36)) for one in bare[4:] + bare[:4])
    return int(number) % 97 == 1


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
    """One kind of personal data: its name, a pattern that RE2 and Python both read, a check.

    Where the pattern has a group, that alone is the value; the rest is what must stand before it.
    """

    name: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool]

    @property
    def has_check_sum(self) -> bool:
        return self.is_one in (_card, _iban, *(check for *_, check in NATIONAL))


_IN_ALL = re.compile(r"[\d@]")  # no kind does without a digit or this sign
_MORE_DIGITS = re.compile(r"\d[ .-]?$")  # the number goes on to the left: it is another one

_CONTEXT = 512  # characters; longer than what any pattern but a strange e-mail address takes

# Earlier kinds win where two meet: a card number looks like a phone number as well.
KINDS = tuple(
    _Kind(name, re.compile(pattern), is_one)
    for name, pattern, is_one in (
        (
            "e-mail",
            r"\b[\w.%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b",
            _always,
        ),
        (
            "iban",
            (
                r"\b(?:[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?|"
                r"[a-z]{2}\d{2}[a-z0-9]{11,30})\b"
            ),
            _iban,
        ),
        ("card number", r"\b\d(?:[ -]?\d){12,18}\b", _card),
        *NATIONAL,
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


def spans(text: str, names: Sequence[tuple[int, int]] | None = None) -> list[tuple[int, int, str]]:
    """Where personal data stands in a text: start, end, kind; in order, none within another.

    Args:
        names: where names of persons stand; looked for here where None and somebody asked for it.
    """
    if names is None and (finder := NAMES.get()) is not None:
        names = finder.places(text)
    found: list[tuple[int, int, str]] = []
    for kind in KINDS if _IN_ALL.search(text) else ():
        for start, end in _places(kind, text, [end for _, end, _ in found]):
            if all(end <= other or after <= start for other, after, _ in found):
                found.append((start, end, kind.name))
    for start, end in names or ():
        if all(end <= other or after <= start for other, after, _ in found):
            found.append((start, end, NAME))
    return sorted(found)


def _places(kind: _Kind, text: str, known: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where one kind stands.

    Other numbers beside it must not hide it: a check sum tells where it begins and ends. Where
    there is none, digits to the left make it a part of something else.

    Args:
        known: where other personal data ends; it is no part of that.
    """
    position = 0
    while hit := kind.pattern.search(text, position):
        value = min(1, kind.pattern.groups)
        start, ends = hit.start(value), [hit.end(value)]
        if kind.has_check_sum:
            if kind.is_one in (_card, _iban):  # of any length, so that it may have ended before
                ends += [start + sign.start() for sign in re.finditer("[ -]", hit[0])][::-1]
            is_part = False
        else:
            before = text[max(0, start - 2) : start]
            is_apart = start in known or start - 1 in known or not hit[0][0].isdigit()
            is_part = not is_apart and bool(_MORE_DIGITS.search(before))
        end = next((end for end in ends if kind.is_one(text[start:end])), None)
        if end is None or is_part:
            position = hit.start() + 1
        else:
            yield start, end
            position = end


def redacted(text: str) -> str:
    """The text with placeholders: the same value has the same one, "[e-mail 3f9a]", everywhere.

    The four digits are of a hash, which tells values of one file apart; they are no protection of
    a value that somebody guesses.
    """
    parts, end = [], 0
    for start, stop, kind in spans(text):
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
    for begin, end, kind in spans(window):
        if begin < stop and end > place:
            runs += [(window[place:begin], False), (kind, True)]
            place = end
    runs.append((window[place:stop], False))
    return [run for run in runs if run[0]]
