"""Texts of the data as a page shows them: personal data masked, nothing invisible, nothing long."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from tunesmith.checks._masking import excerpt

__all__ = ["plain", "shown"]

# What has no shape of its own, or turns the text around it: control characters but tabs and line
# ends, zero-width spaces, marks of direction that are left open.
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u2028-\u202e\u2060\u2066-\u2069\ufeff]+"
)
_BREAK = re.compile(r"(?<=\w)([_/.])(?=\w)")


def shown(text: str, length: int, start: int = 0) -> Markup:
    """A piece of a text as HTML.

    Personal data becomes the name of what it is, and characters that nobody sees their numbers.

    Args:
        length: about how many characters of it.
        start: where the piece begins.
    """
    parts = [
        f'<span class="masked">[{escape(run)}]</span>' if is_masked else _seen(run)
        for run, is_masked in excerpt(text, length, start)
    ]
    before, after = "…" * (start > 0), "…" * (len(text) > start + length)
    # Every run was escaped before the only markup that is added.
    return Markup("".join([before, *parts, after]))  # noqa: S704


def plain(text: str, length: int) -> str:
    """The same for where HTML has no place, such as a title; the template escapes it."""
    runs: Iterable[tuple[str, bool]] = excerpt(text, length)
    masked = "".join(f"[{run}]" if is_masked else run for run, is_masked in runs)
    return _UNSEEN.sub("\ufffd", masked) + "…" * (len(text) > length)


def _seen(run: str) -> str:
    parts, end = [], 0
    for hit in _UNSEEN.finditer(run):
        times = f"×{len(hit[0])}" if len(hit[0]) > 1 else ""
        mark = f"<i>U+{ord(hit[0][0]):04X}{times}</i>"
        parts += [_breakable(run[end : hit.start()]), mark]
        end = hit.end()
    return "".join([*parts, _breakable(run[end:])])


def _breakable(run: str) -> str:
    """Escaped, with places to break a long word after its underscores, slashes and dots."""
    return _BREAK.sub(r"\1<wbr>", str(escape(run)))
