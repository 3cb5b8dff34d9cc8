"""Addresses of data without their passwords, for whatever is printed or written."""

from __future__ import annotations

import re

__all__ = ["password_in", "redact"]

_SETTINGS = re.compile(r"[?&](?:table|query)=")
_USER = re.compile(r"^([a-z][a-z0-9+.-]*://[^:/@]*):(.*)@", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"([?&](?:ssl)?(?:password|passwd|pwd)=)[^&]*", re.IGNORECASE)


def redact(source: str) -> str:
    """A data source as it may be shown: the password of an address is "***".

    A password that was not percent-encoded, and so holds "@", "/" or "?", is found as well.

    >>> redact("postgresql://ann:secret@host/shop?table=tickets")
    'postgresql://ann:***@host/shop?table=tickets'
    """
    if "://" not in source:
        return source
    head, rest = _halves(source)
    before, query, after = rest.partition("query=")
    head = _SECRET.sub(r"\1***", _USER.sub(r"\1:***@", head))
    return head + _SECRET.sub(r"\1***", before) + query + after


def password_in(source: str) -> str:
    """The password that an address holds between user and host, as written; "" if none."""
    found = _USER.match(_halves(source)[0])
    return found[2] if found else ""


def _halves(source: str) -> tuple[str, str]:
    """An address up to `table=` or `query=`, and the rest: SQL, where "@" means something else."""
    settings = _SETTINGS.search(source)
    end = settings.start() if settings else len(source)
    return source[:end], source[end:]
