"""Sessions of people in a browser: a signed cookie, and a link that opens one once."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from time import time

__all__ = ["SESSION_S", "Sessions"]

SESSION_S = 12 * 3600
_MAX_COOKIE = 200


class Sessions:
    """Cookies that name a key, signed with a secret of this start: a restart ends every session.

    A cookie holds no key, and is good for nothing once its key is revoked.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._links: dict[str, str] = {}

    def new_link(self, key_id: str) -> str:
        """A token that opens one session of this key, once."""
        token = secrets.token_urlsafe(32)
        self._links[token] = key_id
        return token

    def use_link(self, token: str) -> str | None:
        """The id of the key that the token stands for, which it does no more."""
        for known in list(self._links):
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "surrogatepass")):
                return self._links.pop(known)
        return None

    def sealed(self, key_id: str) -> str:
        """A cookie's value."""
        content = f"{key_id}.{int(self._clock()) + SESSION_S}"
        return f"{content}.{self._signature(content)}"

    def opened(self, cookie: str) -> str | None:
        """The key's id in a cookie that was signed here and holds still."""
        content, _, signature = cookie[:_MAX_COOKIE].rpartition(".")
        given = signature.encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(self._signature(content).encode(), given):
            return None
        key_id, _, ends = content.rpartition(".")
        return key_id if int(ends) > self._clock() else None

    def _signature(self, content: str) -> str:
        digest = hmac.digest(self._secret, content.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
