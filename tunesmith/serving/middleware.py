"""What guards every route, in the order in which a request meets it."""

from __future__ import annotations

import logging
import re
import traceback
import uuid
from collections.abc import Collection, Mapping
from time import perf_counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.problems import problem, refusal, state_of
from tunesmith.serving.refusals import Refused

__all__ = ["BodyCap", "HostGuard", "OriginGuard", "RequestContext", "host_name"]

logger = logging.getLogger("tunesmith.serving")

_SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CLIENT_GONE = 499
_DEFAULT_PORTS = {"http": 80, "https": 443}


class RequestContext:
    """Outermost: names, times, counts and logs each request; keeps the server's own faults opaque.

    Logs hold the route, never a path, a header or a body: these may hold texts.
    """

    def __init__(self, app: ASGIApp, *, metrics: ServingMetrics, routes: Collection[str]) -> None:
        self.app = app
        self._metrics = metrics
        self._routes = frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = state_of(scope)
        state["request_id"] = request_id = _request_id(Headers(scope=scope))
        response = _Response(send, request_id, without_body=scope["method"] == "HEAD")
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        started = perf_counter()
        try:
            await self.app(scope, receive, response.send)
        except ClientDisconnect:
            state["code"] = "client_gone"
        except Exception as error:  # noqa: BLE001 - the boundary: a client learns nothing but the id
            logger.error("event=error request_id=%s %s", request_id, _described(error))
            if response.status is None:
                opaque = problem(scope, "internal", "the server failed; its log knows this request")
                await opaque(scope, receive, response.send)
        finally:
            self._note(scope, response.status or _CLIENT_GONE, perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        state = state_of(scope)
        # The router notes which route it was; the guards before it leave only the path.
        path = getattr(scope.get("route"), "path", scope["path"])
        route = path if path in self._routes else "unknown"
        code = state.get("code")
        self._metrics.count_request(route, status, seconds, code)
        logger.info(
            "event=request route=%s status=%d duration_ms=%.1f code=%s request_id=%s",
            route,
            status,
            seconds * 1e3,
            code or "-",
            state["request_id"],
        )


class _Response:
    """Passes a response on, with the headers that every response carries."""

    def __init__(self, send: Send, request_id: str, *, without_body: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._without_body = without_body
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            headers.setdefault("cache-control", "no-store")
            headers.update(_SECURITY_HEADERS)
        elif self._without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


class HostGuard:
    """Answers only to the server's own names.

    A page whose domain is made to resolve to 127.0.0.1 (DNS rebinding) sends its own name in the
    Host header, and is refused.
    """

    def __init__(self, app: ASGIApp, *, allowed: Collection[str] | None) -> None:
        self.app = app
        self._allowed = None if allowed is None else {host.lower() for host in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._allowed is not None:
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1 or host_name(hosts[0]) not in self._allowed:
                response = problem(
                    scope,
                    "host_not_allowed",
                    "the Host header names another server; this one answers to "
                    f"{', '.join(sorted(self._allowed))}",
                )
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)


class OriginGuard:
    """Refuses what pages of other sites send: its reader must not drive the model."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            headers = Headers(scope=scope)
            if not _same_origin(headers):
                message = "pages of other sites may not use this server"
                await problem(scope, "cross_origin", message)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class BodyCap:
    """Stops a body that is larger than `max_bytes`, by its header and then by its bytes."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()):
            message = "the Content-Length header is not a number of bytes"
            await problem(scope, "bad_content_length", message)(scope, receive, send)
            return
        # Compared by length first: Python refuses to read numbers of thousands of digits.
        if len(declared.lstrip("0")) > 15 or int(declared) > self._max_bytes:
            await refusal(scope, self._too_large())(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._max_bytes:
                    raise self._too_large()
            return message

        await self.app(scope, counted, send)

    def _too_large(self) -> Refused:
        return Refused(
            "body_too_large",
            f"the body is larger than {self._max_bytes:,} bytes",
            mend="send fewer or shorter texts at once",
        )


def host_name(host: str) -> str:
    """The name in a Host header, without its port: "[::1]:80" → "[::1]"."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]


def _same_origin(headers: Headers) -> bool:
    # Fetch metadata covers the browsers that leave Origin out; programs send neither header.
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    origins = headers.getlist("origin")
    if not origins:
        return True
    try:
        origin = urlsplit(origins[0])
        named = f"{origin.scheme}://{headers.get('host', '')}"
        own = urlsplit(named)
        default = _DEFAULT_PORTS.get(origin.scheme)
        same = origin.hostname is not None and (
            (origin.hostname, origin.port or default) == (own.hostname, own.port or default)
        )
    except ValueError:
        return False
    return same and default is not None and len(origins) == 1


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _described(error: BaseException) -> str:
    """The error's type and frames; never its message, which may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
    return f"error={type(error).__name__} at={places!r}"
