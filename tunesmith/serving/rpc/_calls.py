"""What stands in front of every gRPC method: keys, quotas, time, figures, traces, opaque faults."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

import grpc

from tunesmith.events import log_event
from tunesmith.serving.access_log import log_request
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.problems import status_of
from tunesmith.serving.refusals import Code, Overloaded, Refused
from tunesmith.serving.security import Access, Key
from tunesmith.serving.tracing import ServerSpan
from tunesmith.serving.usage import Usage, current_usage

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Calls", "Method"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PEER = re.compile(r"ipv[46]:\[?([0-9a-fA-F.:]+?)\]?:\d+")
_STATUSES: Mapping[Code, grpc.StatusCode] = {
    "client_gone": grpc.StatusCode.CANCELLED,
    "insufficient_scope": grpc.StatusCode.PERMISSION_DENIED,
    "internal": grpc.StatusCode.INTERNAL,
    "method_not_allowed": grpc.StatusCode.UNIMPLEMENTED,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "not_ready": grpc.StatusCode.UNAVAILABLE,
    "overloaded": grpc.StatusCode.UNAVAILABLE,
    "quota_exceeded": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "timed_out": grpc.StatusCode.DEADLINE_EXCEEDED,
    "too_many_failures": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "unauthorized": grpc.StatusCode.UNAUTHENTICATED,
}
# Which are a fault of the server, by OpenTelemetry's conventions for gRPC.
_FAULTS = frozenset(
    {
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

Handle: TypeAlias = Callable[[Any], Awaitable[Any]]
_Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service.

    Attributes:
        handle: a request's answer.
        reads, writes: from bytes, and to bytes.
        open: whether it needs no key, as `/healthz` does not.
    """

    handle: Handle
    reads: Callable[[bytes], Any]
    writes: Callable[[Any], bytes]
    open: bool = False


class Calls(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Every method by its full name; what has no such name wants a key too."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        access: Access | None,
        limits: Limits,
        metrics: ServingMetrics,
        tracer: Tracer | None,
    ) -> None:
        self._methods = methods
        self._access = access
        self._limits = limits
        self._metrics = metrics
        self._tracer = tracer

    def service(self, details: Any) -> Any:
        """The handler of a call; gRPC's name for it."""
        name = details.method if details.method in self._methods else "unknown"
        method = self._methods.get(name) or Method(_nothing_here, bytes, bytes)

        async def call(messages: AsyncIterator[bytes], context: _Context) -> Any:
            return await self._call(name, method, messages, context)

        # On the wire a unary call is a stream of one message. As unary, gRPC would wait for it
        # before anything here runs: without a key, without an end, and counted as a call.
        return grpc.stream_unary_rpc_method_handler(call, response_serializer=method.writes)

    async def _call(
        self, name: str, method: Method, messages: AsyncIterator[bytes], context: _Context
    ) -> Any:
        given = tuple(context.invocation_metadata() or ())
        state: dict[str, Any] = {"request_id": _request_id(dict(given).get("x-request-id"))}
        usage, started = Usage(), perf_counter()
        span = self._span(name, method, given)
        token = current_usage.set(usage)
        state["code"] = "client_gone"  # or its deadline is over: then this task is cancelled
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                answer = await self._answered(method, messages, context, given, usage, state)
            state["code"] = None
        except Refused as error:
            state["code"] = error.code
            answer = error
        except TimeoutError:
            state["code"] = "timed_out"
            answer = Refused("timed_out", "the whole request took too long")
        except Exception as error:  # noqa: BLE001 - the boundary: a client learns nothing but the id
            state["code"] = "internal"
            kind = type(error).__name__
            log_event(logging.ERROR, "error", request_id=state["request_id"], error=kind)
            answer = Refused("internal", "the server failed; its log knows this request")
        finally:
            current_usage.reset(token)
            self._note(name, state, usage, perf_counter() - started)
            if span is not None:
                _end(span, state, usage)
        if isinstance(answer, Refused):
            await _abort(context, answer, state["request_id"])
        return answer

    async def _answered(
        self,
        method: Method,
        messages: AsyncIterator[bytes],
        context: _Context,
        given: _Metadata,
        usage: Usage,
        state: dict[str, Any],
    ) -> Any:
        if method.open or self._access is None:
            return await method.handle(await self._read(method, messages))
        key = self._key(self._access, given, context)
        state["key_id"] = key.id
        if not key.allows("predict"):
            raise Refused(
                "insufficient_scope", "this key is not for that: it lacks the scope 'predict'"
            )
        used_up = self._access.quotas.admit(key, reads_texts=True)
        if used_up is not None:
            name, wait_s = used_up
            what = f"this key has no {name.replace('_', ' ')} left; ask again in {wait_s:,} s"
            raise Overloaded("quota_exceeded", what, retry_after_s=wait_s)
        try:
            return await method.handle(await self._read(method, messages))
        finally:
            self._access.quotas.charge(key, usage.tokens)

    async def _read(self, method: Method, messages: AsyncIterator[bytes]) -> Any:
        """The one message; who needs no key has less time for it."""
        limits = self._limits
        async with asyncio.timeout(limits.header_timeout_s if method.open else limits.timeout_s):
            content = await anext(messages, None)
        if content is None:
            raise Refused("invalid_request", "holds no message")
        try:
            return method.reads(content)
        except Exception as error:  # whatever protobuf raises
            raise Refused("invalid_request", "is not the message of this method") from error

    @staticmethod
    def _key(access: Access, given: _Metadata, context: _Context) -> Key:
        presented = _presented(given)
        if presented is None:
            what = "this server wants a key: send the metadata authorization: Bearer KEY"
            raise Refused("unauthorized", what)
        found = access.by_key(presented, _address(context.peer()))
        if isinstance(found, int):
            what = f"too many wrong keys from this address; ask again in {found} s"
            raise Overloaded("too_many_failures", what, retry_after_s=found)
        if found is None:
            raise Refused("unauthorized", "this key is not known, has expired or was revoked")
        return found

    def _span(self, name: str, method: Method, given: _Metadata) -> ServerSpan | None:
        """None for what machines ask again and again, as over HTTP: what needs no key."""
        if self._tracer is None or method.open:
            return None
        own = "_OTHER" if name == "unknown" else name.removeprefix("/")
        headers = {key: value for key, value in given if isinstance(value, str)}
        attributes = {"rpc.system.name": "grpc", "rpc.method": own}
        return ServerSpan(self._tracer, "grpc" if own == "_OTHER" else own, headers, attributes)

    def _note(self, name: str, state: dict[str, Any], usage: Usage, seconds: float) -> None:
        code: Code | None = state.get("code")
        status = 200 if code is None else status_of(code)
        self._metrics.count_request(name, status, seconds, code, usage)
        scope = {"method": "POST", "state": {**state, "usage": usage}}
        log_request(scope, route=name, status=status, size=0, seconds=seconds)


def _end(span: ServerSpan, state: dict[str, Any], usage: Usage) -> None:
    code: Code | None = state["code"]
    status = grpc.StatusCode.OK if code is None else _status(code)
    span.end(
        usage,
        {"rpc.response.status_code": status.name},
        request_id=state["request_id"],
        code=code,
        failed=status in _FAULTS,
    )


def _status(code: Code) -> grpc.StatusCode:
    return _STATUSES.get(code, grpc.StatusCode.INVALID_ARGUMENT)


async def _nothing_here(_: Any) -> Any:
    raise Refused("method_not_allowed", "there is no such method here")


async def _abort(context: _Context, error: Refused, request_id: str) -> None:
    more = [("x-request-id", request_id), ("tunesmith-code", error.code)]
    if isinstance(error, Overloaded):
        more.append(("retry-after", str(error.retry_after_s)))
    await context.abort(_status(error.code), error.message[:500], tuple(more))


def _request_id(given: Any) -> str:
    valid = isinstance(given, str) and _REQUEST_ID.fullmatch(given)
    return str(given) if valid else uuid.uuid4().hex


def _presented(given: _Metadata) -> str | None:
    """The key that the metadata hold; "" where they hold two, or none of our kind."""
    found = [(name, str(value)) for name, value in given if name in {"authorization", "x-api-key"}]
    if not found:
        return None
    if len(found) > 1:
        return ""
    name, value = found[0]
    if name == "x-api-key":
        return value.strip()
    scheme, _, text = value.strip().partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _address(peer: str) -> str:
    found = _PEER.fullmatch(unquote(peer))
    return found.group(1) if found else peer
