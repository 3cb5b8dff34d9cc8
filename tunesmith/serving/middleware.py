"""What guards every route, in the order in which a request meets it."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
import uuid
from collections.abc import Collection, Iterable, Mapping
from time import perf_counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.events import log_event
from tunesmith.serving.access_log import log_request
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.problems import Spellings, problem, refusal, state_of
from tunesmith.serving.refusals import Refused
from tunesmith.serving.usage import Usage, current_usage, usage_of

__all__ = [
    "SECURITY_HEADERS",
    "BodyCap",
    "HeaderCap",
    "HostGuard",
    "OriginGuard",
    "RequestContext",
    "host_name",
    "new_request_id",
]

SECURITY_HEADERS: Mapping[str, str] = {
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
# Half a year; subdomains are others' business, so they are not spoken for.
_ONLY_TLS = b"max-age=15552000"
_OUR_HEADERS = tuple((name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items())
_OUR_NAMES = {name for name, _ in _OUR_HEADERS} | {b"x-request-id", b"strict-transport-security"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CLIENT_GONE = 499
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOGGED_BODY_BYTES = 8 * 1024
_NEVER_LOGGED = "/login"  # its body is a key
_NOT_LOGGED = frozenset({"/v1/live"})  # the page asks every two seconds
_PROBES = frozenset({"/healthz", "/readyz"})  # of which what is well is no news


class RequestContext:
    """Outermost: names, times, counts and logs each request; keeps the server's own faults opaque.

    Logs hold the route, never a path, a header or a body: these may hold texts. Bodies are logged
    where that was asked for, as they are.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: ServingMetrics,
        routes: Collection[str],
        spellings: Spellings | None = None,
        timeout_s: float | None = None,
        log_texts: bool = False,
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._spellings = spellings
        self._routes = frozenset(routes)
        self._timeout_s = timeout_s
        self._log_texts = log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = state_of(scope)
        state["request_id"] = _request_id(Headers(scope=scope))
        state["method"] = scope["method"]
        state["spellings"] = self._spellings
        response = _Response(send, scope)
        if self._log_texts and scope["path"] != _NEVER_LOGGED:
            receive = _kept(state, receive)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        started = perf_counter()
        usage = current_usage.set(usage_of(scope))
        try:
            await self._answer(scope, receive, response)
        finally:
            current_usage.reset(usage)
            self._note(scope, response, perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, response: _Response) -> None:
        clock = asyncio.timeout(self._timeout_s)
        try:
            async with clock:
                await self.app(scope, receive, response.send)
        except ClientDisconnect:
            state_of(scope)["code"] = "client_gone"
        except Exception as error:  # noqa: BLE001 - the boundary: a client learns nothing but the id
            if clock.expired():
                late = problem(scope, "timed_out", "the whole request took too long")
                await response.end_with(late, scope, receive)
                return
            request_id = state_of(scope)["request_id"]
            log_event(logging.ERROR, "error", request_id=request_id, **_described(error))
            opaque = problem(scope, "internal", "the server failed; its log knows this request")
            await response.end_with(opaque, scope, receive)

    def _note(self, scope: Scope, response: _Response, seconds: float) -> None:
        # The router notes which route it was; the guards before it leave only the path.
        path = getattr(scope.get("route"), "path", scope["path"])
        route = path if path in self._routes else "unknown"
        status = response.status or _CLIENT_GONE
        state = state_of(scope)
        state["route"] = route
        self._metrics.count_request(route, status, seconds, state.get("code"), usage_of(scope))
        if route not in _NOT_LOGGED and not (route in _PROBES and status == 200):
            log_request(scope, route=route, status=status, size=response.size, seconds=seconds)


class _Response:
    """Passes a response on, with the headers that every response carries.

    Attributes:
        status: of the answer; None where none has begun.
        size: bytes of its body that were sent.
    """

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._request_id = state_of(scope)["request_id"]
        self._without_body = scope["method"] == "HEAD"
        self._is_https = scope.get("scheme") == "https"
        self._usage = usage_of(scope)
        self.status: int | None = None
        self.size = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._with_ours(message["headers"])}
        elif message["type"] == "http.response.body":
            if self._without_body:
                message = {**message, "body": b""}
            self.size += len(message.get("body", b""))
        await self._send(message)

    def _with_ours(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of an answer; in place of any that have one of these names, the server's."""
        kept = [(name, value) for name, value in headers if name.lower() not in _OUR_NAMES]
        kept += [(b"x-request-id", self._request_id.encode("latin-1")), *_OUR_HEADERS]
        if not any(name.lower() == b"cache-control" for name, _ in kept):
            kept.append((b"cache-control", b"no-store"))
        if self._usage.texts:
            kept.append((b"server-timing", _server_timing(self._usage).encode()))
        if self._usage.cached:
            kept.append((b"cache-status", _cache_status(self._usage).encode()))
        if self._is_https:
            kept.append((b"strict-transport-security", _ONLY_TLS))
        return kept

    async def end_with(self, answer: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Gives this answer, if none has begun; one that has is left unfinished."""
        if self.status is None:
            await answer(scope, receive, self.send)


def _server_timing(usage: Usage) -> str:
    """How long the texts waited, and were in the model, in milliseconds (W3C Server Timing)."""
    return f"queue;dur={usage.queue_s * 1e3:.1f}, inference;dur={usage.inference_s * 1e3:.1f}"


def _cache_status(usage: Usage) -> str:
    """What the cache had part in, as RFC 9211 has it."""
    if usage.cached == usage.texts:
        return "tunesmith; hit"
    return f'tunesmith; fwd=partial; detail="{usage.cached} of {usage.texts} texts"'


def _kept(state: dict[str, object], receive: Receive) -> Receive:
    """Receives, and notes the first bytes of the body for the log."""
    body = bytearray()
    state["body"] = body

    async def noted() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            body.extend(message.get("body", b"")[: _LOGGED_BODY_BYTES - len(body)])
        return message

    return noted


class HeaderCap:
    """Refuses a first line and headers of more than `max_bytes`.

    The web server stops such as do not arrive at once; of the others it knows no limit.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
            size += sum(len(name) + len(value) for name, value in scope["headers"])
            if size > self._max_bytes:
                message = f"the address and the headers are larger than {self._max_bytes:,} bytes"
                await problem(scope, "headers_too_large", message)(scope, receive, send)
                return
        await self.app(scope, receive, send)


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
    """Stops a body that is larger than `max_bytes`, by its header and then by its bytes.

    One that is not there in time is stopped too: who sends it a byte at a time (slowloris) would
    keep a connection for as long as they like.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout_s: float | None = None) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "0")
        if "transfer-encoding" in headers and "content-length" in headers:
            # A proxy may believe the other one, and see two requests here (RFC 9112, 6.1).
            message = "the request has both a Content-Length and a Transfer-Encoding header"
            closes = {"connection": "close"}
            await problem(scope, "bad_content_length", message, closes)(scope, receive, send)
            return
        if not (declared.isascii() and declared.isdigit()):
            message = "the Content-Length header is not a number of bytes"
            await problem(scope, "bad_content_length", message)(scope, receive, send)
            return
        # Compared by length first: Python refuses to read numbers of thousands of digits.
        if len(declared.lstrip("0")) > 15 or int(declared) > self._max_bytes:
            await refusal(scope, self._too_large())(scope, receive, send)
            return
        await self.app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        received = 0
        is_whole = False
        loop = asyncio.get_running_loop()
        ends = None if self._timeout_s is None else loop.time() + self._timeout_s

        async def counted() -> Message:
            nonlocal received, is_whole
            if is_whole:  # what comes now is not the body but the client's leaving
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            if message["type"] == "http.request":
                is_whole = not message.get("more_body", False)
                received += len(message.get("body", b""))
                if received > self._max_bytes:
                    raise self._too_large()
            return message

        return counted

    def _too_slow(self) -> Refused:
        return Refused("body_too_slow", f"no whole body within {self._timeout_s:g} s")

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
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """An id for a request that came with none."""
    return uuid.uuid4().hex


def _described(error: BaseException) -> dict[str, str]:
    """The error's type and frames; never its message, which may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
    return {"error": type(error).__name__, "at": places}
