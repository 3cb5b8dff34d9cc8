"""What stands in front of every route: without a key, nothing; with one, what it is for."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.serving.problems import problem, state_of
from tunesmith.serving.refusals import Refused
from tunesmith.serving.security._access import Access
from tunesmith.serving.security._keys import Key
from tunesmith.serving.security._keys import Scope as KeyScope
from tunesmith.serving.security._login import LOGIN_PAGE, cookie_name
from tunesmith.serving.security._refusals import (
    CHALLENGE,
    INVALID_REQUEST,
    client_address,
    too_many_failures,
    wrong_key,
)
from tunesmith.serving.security._scopes import ScopeOf, is_open
from tunesmith.serving.usage import usage_of

__all__ = ["AccessGuard", "require"]

_USED_UP = {
    "rate": "requests a second",
    "tokens_per_minute": "tokens a minute",
    "tokens_per_day": "tokens a day",
}


class AccessGuard:
    """Lets a request through that is open to all, or brings a key for what it asks.

    It denies by default: it knows no route but the few open ones, and a route that is added later
    is behind it from the start. It neither reads a body nor holds an answer back.
    """

    def __init__(self, app: ASGIApp, *, access: Access, scope_of: ScopeOf) -> None:
        self.app = app
        self._access = access
        self._scope_of = scope_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif is_open(scope["method"], scope["path"]):
            await self.app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope)
        if isinstance(key, int):
            await too_many_failures(scope, key)(scope, receive, send)
        elif key is None:
            await _unauthorized(scope)(scope, receive, send)
        else:
            state_of(scope)["key_id"] = key.id
            state_of(scope)["key"] = key
            await self._allowed(key, scope, receive, send)

    def _key(self, scope: Scope) -> Key | int | None:
        headers = Headers(scope=scope)
        presented = _presented(headers)
        if presented == "":
            return None
        if presented is not None:
            return self._access.by_key(presented, client_address(scope))
        cookies = cookie_parser("; ".join(headers.getlist("cookie")))
        cookie = cookies.get(cookie_name(scope))
        return None if cookie is None else self._access.by_cookie(cookie)

    async def _allowed(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        needed = self._scope_of(scope["path"])
        if needed is None:
            await self.app(scope, receive, send)
            return
        if not key.allows(needed):
            challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{needed}"'
            message = _lacks(needed)
            headers = {"www-authenticate": challenge}
            await problem(scope, "insufficient_scope", message, headers)(scope, receive, send)
            return
        reads_texts = needed in {"explain", "predict"}
        used_up = self._access.quotas.admit(key, reads_texts=reads_texts)
        if used_up is not None:
            name, wait_s = used_up
            limit = f"{getattr(key.quota, name):,g} {_USED_UP[name]}"
            message = f"this key has used up its {limit}; ask again in {wait_s:,} s"
            headers = {"retry-after": str(wait_s)}
            await problem(scope, "quota_exceeded", message, headers)(scope, receive, send)
            return
        before = usage_of(scope).tokens
        try:
            await self.app(scope, receive, send)
        finally:
            self._access.quotas.charge(key, usage_of(scope).tokens - before)


def require(scope: Scope, needed: KeyScope) -> None:
    """Makes sure of a scope that a request needs by its body, beside the one of its route.

    Raises:
        Refused: the request's key lacks it.
    """
    key: Key | None = state_of(scope).get("key")  # None where the server wants no keys
    if key is not None and not key.allows(needed):
        raise Refused("insufficient_scope", _lacks(needed))


def _lacks(needed: KeyScope) -> str:
    return f"this key is not for that: it lacks the scope {needed!r}"


def _presented(headers: Headers) -> str | None:
    """What a program presents as its key; "" where it presents several, or none of our kind."""
    given = headers.getlist("authorization")
    own = headers.getlist("x-api-key")
    if not given and not own:
        return None
    if len(given) + len(own) > 1:
        return ""
    if own:
        return own[0].strip()
    scheme, _, text = given[0].strip().partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _unauthorized(scope: Scope) -> ASGIApp:
    headers = Headers(scope=scope)
    if len(headers.getlist("authorization")) + len(headers.getlist("x-api-key")) > 1:
        message = "send one key, in the header Authorization or in X-API-Key, and not in both"
        return problem(scope, "unauthorized", message, {"www-authenticate": INVALID_REQUEST})
    if "authorization" in headers or "x-api-key" in headers:
        return wrong_key(scope)
    challenge = {"www-authenticate": CHALLENGE}
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        # People in a browser see where to sign in, at the status that programs read.
        state_of(scope)["code"] = "unauthorized"
        return LOGIN_PAGE.answer(401, challenge)
    message = "this server wants a key: send the header Authorization: Bearer KEY"
    return problem(scope, "unauthorized", message, challenge)
