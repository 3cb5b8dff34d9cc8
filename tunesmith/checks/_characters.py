"""Text that was damaged on its way: wrong encodings, control characters, markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted, row_numbers
from tunesmith.checks._masking import redacted
from tunesmith.checks._subject import Subject

__all__ = [
    "check_control_characters",
    "check_markup",
    "check_mojibake",
    "repair_mojibake",
    "strip_control_characters",
    "strip_markup",
]

# What the first bytes of UTF-8 look like when they are read as Windows-1252 or its neighbours.
_SUSPICIOUS = "[ÃÂâÅÄÐÑðïåæçèé][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
# Tabs and line ends are no faults; zero-width joiners belong to some scripts and to emoji.
_CONTROL = (
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084"
    "\u0086-\u009f\u200b\u202a-\u202e\u2060\ufeff\ufffd]"
)
_MARKUP = (
    r"</?(?:a|abbr|article|b|blockquote|body|br|button|code|div|em|font|form|h[1-6]|head|hr|html|i|"
    r"iframe|img|input|li|link|meta|ol|option|p|pre|s|script|section|select|small|span|strong|style|"
    r"sub|sup|table|tbody|td|th|thead|title|tr|u|ul)(?:\s[^<>]*)?/?>|<!--|"
    r"&(?:amp|lt|gt|quot|apos|nbsp|[lr]squo|[lr]dquo|ndash|mdash|hellip|bull|copy|reg|euro|pound|"
    r"[A-Za-z](?:uml|acute|grave|circ|tilde|cedil)|szlig|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});"
)
_TAG = re.compile(_MARKUP.split(r"|<!--", maxsplit=1)[0], re.IGNORECASE)
_DROPPED = re.compile(r"<!--.*?-->|<(script|style)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BREAKS = re.compile(r"</?(?:br|p|div|li|tr|h[1-6]|ul|ol|table)\b", re.IGNORECASE)


def check_mojibake(subject: Subject) -> Iterator[Finding]:
    """Finds text that was read in the wrong encoding, such as "cafÃ©" for "café"."""
    for name in subject.text:
        places = subject.places_matching(name, _SUSPICIOUS)
        broken = [place for place in places.tolist() if _is_broken(subject.text_at(name, place))]
        if broken:
            before = subject.text_at(name, broken[0])
            yield Finding(
                check="mojibake",
                severity="warning",
                message=f"{counted(len(broken), 'text', 'texts')}"
                f" in column {name!r} came through a wrong encoding, "
                f"such as {_changed_word(before, repair_mojibake(before))}",
                fix="repair the characters",
                rows=row_numbers(broken),
                column=name,
                step="repair-mojibake",
            )


def check_control_characters(subject: Subject) -> Iterator[Finding]:
    """Finds characters that nobody sees and no keyboard makes, and the mark of a lost one."""
    for name in subject.text:
        places = subject.places_matching(name, _CONTROL)
        if len(places):
            yield Finding(
                check="control-characters",
                severity="warning",
                message=f"in column {name!r}, {counted(len(places), 'text holds', 'texts hold')}"
                " control characters, "
                "invisible ones, or the mark of a character that was lost (\ufffd)",
                fix="take them out",
                rows=row_numbers(places),
                column=name,
                step="strip-control-characters",
            )


def check_markup(subject: Subject) -> Iterator[Finding]:
    """Finds HTML: tags, and characters written as entities."""
    for name in subject.text:
        places: NDArray[np.int64] = subject.places_matching(name, f"(?i){_MARKUP}")
        if len(places):
            yield Finding(
                check="markup",
                severity="warning",
                message=f"in column {name!r}, {counted(len(places), 'text holds', 'texts hold')}"
                " HTML",
                fix="keep the words and take out the tags",
                rows=row_numbers(places),
                column=name,
                step="strip-markup",
            )


def repair_mojibake(text: str) -> str:
    """The text as it was before it was read in a wrong encoding (ftfy)."""
    import ftfy

    return ftfy.fix_encoding(text)


def strip_control_characters(text: str) -> str:
    """The text without control and invisible characters."""
    return re.sub(_CONTROL, "", text)


def strip_markup(text: str) -> str:
    """The words of a text with HTML in it; what a browser would put on a new line stays on one.

    Text with nothing of HTML is as it was.
    """
    if not re.search(_MARKUP, text, re.IGNORECASE):
        return text
    bare = _DROPPED.sub(" ", text)
    bare = _TAG.sub(lambda tag: "\n" if _BREAKS.match(tag[0]) else "", bare)
    lines = (" ".join(line.split()) for line in html.unescape(bare).splitlines())
    return "\n".join(line for line in lines if line)


def _is_broken(text: str) -> bool:
    return repair_mojibake(text) != text


def _changed_word(before: str, after: str) -> str:
    """The first word that differs, as it is and as it should be."""
    for old, new in zip(before.split(), after.split(), strict=False):
        if old != new:
            return f"{redacted(old)[:30]!r} for {redacted(new)[:30]!r}"
    return "in its white space"
