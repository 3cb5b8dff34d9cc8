"""Traces by OpenTelemetry: a span for each request, with its wait and its inference beneath.

Nothing of OpenTelemetry is imported unless traces are asked for. No span holds a text, a path that
a client made up, a header or a key.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.errors import ConfigError, MissingDependencyError
from tunesmith.serving.problems import state_of
from tunesmith.serving.usage import Usage, usage_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

__all__ = ["TraceRequests", "open_tracer", "traced", "why_not_traced"]

_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PATH = "/v1/traces"
_INSTALL = "pip install 'tunesmith[otel]'"
_UNTRACED = frozenset({"/healthz", "/readyz", "/metrics", "/v1/live"})
"""Asked again and again by machines; they would be most of what is traced."""

_KNOWN_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def why_not_traced(endpoint: str | None) -> str | None:
    """Why nothing is traced although the environment asks for it, as a sentence; else None.

    The variables are often set for all that runs on a cluster, so they keep nobody from serving.
    """
    variable = next((name for name in _VARIABLES if os.environ.get(name)), None)
    if endpoint is not None or variable is None or _is_installed():
        return None
    return f"{variable} is set, and nothing is traced: {_INSTALL}"


def _is_installed() -> bool:
    return all(_is_found(name) for name in ("sdk", "exporter.otlp.proto.http"))


def _is_found(name: str) -> bool:
    try:
        return importlib.util.find_spec(f"opentelemetry.{name}") is not None
    except ImportError:
        return False


@contextmanager
def traced(endpoint: str | None) -> Iterator[Tracer | None]:
    """A tracer that exports for as long as the block runs; None where traces were not asked for.

    Args:
        endpoint: the collector's base URL, for OTLP over HTTP; None: what the environment says.

    Raises:
        ConfigError: the URL is none.
        MissingDependencyError: the extra "otel" is not installed.
    """
    asked_by_environment = any(os.environ.get(name) for name in _VARIABLES)
    if endpoint is None and not (asked_by_environment and _is_installed()):
        yield None
        return
    tracer, shut_down = open_tracer(_exporter(endpoint))
    try:
        yield tracer
    finally:
        shut_down()


def _exporter(endpoint: str | None) -> SpanExporter:
    if not _is_installed():
        raise MissingDependencyError(
            "traces need OpenTelemetry, which is not installed",
            where=f"--otlp {endpoint}",
            mend=_INSTALL,
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    if endpoint is None:
        return OTLPSpanExporter()
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        mend = "--otlp http://localhost:4318"
        raise ConfigError("is no URL of a collector", where=f"--otlp {endpoint}", mend=mend)
    url = endpoint.rstrip("/")
    return OTLPSpanExporter(endpoint=url if url.endswith(_PATH) else url + _PATH)


def open_tracer(exporter: SpanExporter) -> tuple[Tracer, Any]:
    """A tracer whose spans go to `exporter` in batches, and what ends it, exporting the rest.

    It is no global of the process. OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and
    OTEL_TRACES_SAMPLER have their usual meaning.
    """
    from importlib.metadata import version

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "tunesmith"}
    resource = Resource.create({**named, "service.version": version("tunesmith")})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider.get_tracer("tunesmith.serving"), provider.shutdown


@dataclass(slots=True)
class _Clock:
    """Times of `time.perf_counter` as nanoseconds since 1970."""

    counter: float
    epoch_ns: int

    def ns(self, counter: float) -> int:
        return self.epoch_ns + round((counter - self.counter) * 1e9)


class TraceRequests:
    """Outermost: a server span for each request, a child of the client's where it sends one.

    The client's is read from the header traceparent (W3C Trace Context). Queue and inference are
    spans beneath, made once the request is over, from the times that the data plane took.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.app = app
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self.app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind

        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "_OTHER"
        parent = self._propagator.extract(dict(Headers(scope=scope)))
        clock = _Clock(perf_counter(), time_ns())
        span = self._tracer.start_span(
            method, parent, SpanKind.SERVER, {"http.request.method": method}, None, clock.epoch_ns
        )
        statuses: list[int] = []

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self._end(span, method, scope, statuses, clock)

    def _end(
        self, span: Span, method: str, scope: Scope, statuses: list[int], clock: _Clock
    ) -> None:
        from opentelemetry.trace import StatusCode

        usage, state = usage_of(scope), state_of(scope)
        route = state.get("route", "unknown")
        if route != "unknown":
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("url.scheme", scope.get("scheme", "http"))
        if "request_id" in state:
            span.set_attribute("tunesmith.request_id", state["request_id"])
        if statuses:
            span.set_attribute("http.response.status_code", statuses[0])
        if state.get("code"):
            span.set_attribute("error.type", state["code"])
        if not statuses or statuses[0] >= 500:
            span.set_status(StatusCode.ERROR)
        if usage.texts:
            self._add_stages(span, usage, clock)
        span.end(clock.ns(perf_counter()))

    def _add_stages(self, span: Span, usage: Usage, clock: _Clock) -> None:
        from opentelemetry.trace import set_span_in_context

        span.set_attributes(
            {
                "tunesmith.model": usage.model,
                "tunesmith.version": usage.version,
                "tunesmith.num_texts": usage.texts,
                "tunesmith.num_tokens": usage.tokens,
                "tunesmith.num_cached": usage.cached or 0,
                "tunesmith.queue_ms": usage.queue_s * 1e3,
                "tunesmith.inference_ms": usage.inference_s * 1e3,
            }
        )
        if not usage.inference_s:
            return  # all of it came from the cache
        context = set_span_in_context(span)
        begins = usage.started
        goes = min(begins + usage.queue_s, usage.ended)
        for name, start, end in (("queue", begins, goes), ("inference", goes, usage.ended)):
            child = self._tracer.start_span(name, context, start_time=clock.ns(start))
            child.end(clock.ns(end))
