"""Traces by OpenTelemetry: a span for each request, with its wait and its inference beneath.

Nothing of OpenTelemetry is imported unless traces are asked for. No span holds a text, a path that
a client made up, a header or a key.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
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
    from opentelemetry.trace import Tracer

__all__ = ["ServerSpan", "TraceRequests", "open_tracer", "traced", "why_not_traced"]

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


class ServerSpan:
    """The span of one request, of whatever protocol: begun with it, a child of the client's."""

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        headers: Mapping[str, str],
        attributes: Mapping[str, str],
    ) -> None:
        """Begins now.

        Args:
            tracer: makes the span, and those beneath it.
            name: of the span; `end` may know a better one.
            headers: of the request, by lower-case names; the client's span is that of traceparent
                (W3C Trace Context), if it is there.
            attributes: what is known already.
        """
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(dict(headers))
        self._tracer = tracer
        self._clock = _Clock(perf_counter(), time_ns())
        self._span = tracer.start_span(
            name, parent, SpanKind.SERVER, dict(attributes), None, self._clock.epoch_ns
        )

    def end(
        self,
        usage: Usage,
        attributes: Mapping[str, str | int],
        *,
        name: str | None = None,
        request_id: str | None,
        code: str | None,
        failed: bool,
    ) -> None:
        """Ends now; queue and inference become spans beneath, from the times of the data plane.

        Args:
            usage: what the request cost.
            attributes: what is known by now.
            name: of the span, in place of the first one.
            request_id: as in the log.
            code: of a refusal or fault.
            failed: whether it was the server's fault.
        """
        from opentelemetry.trace import StatusCode

        if name is not None:
            self._span.update_name(name)
        self._span.set_attributes(dict(attributes))
        if request_id is not None:
            self._span.set_attribute("tunesmith.request_id", request_id)
        if code is not None:
            self._span.set_attribute("error.type", code)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        if usage.texts:
            self._add_stages(usage)
        self._span.end(self._clock.ns(perf_counter()))

    def _add_stages(self, usage: Usage) -> None:
        from opentelemetry.trace import set_span_in_context

        self._span.set_attributes(
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
        context, clock = set_span_in_context(self._span), self._clock
        begins = usage.started
        goes = min(begins + usage.queue_s, usage.ended)
        for name, start, end in (("queue", begins, goes), ("inference", goes, usage.ended)):
            child = self._tracer.start_span(name, context, start_time=clock.ns(start))
            child.end(clock.ns(end))


class TraceRequests:
    """Outermost: a `ServerSpan` for each request over HTTP."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self.app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "_OTHER"
        headers = dict(Headers(scope=scope))
        span = ServerSpan(self._tracer, method, headers, {"http.request.method": method})
        statuses: list[int] = []

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            _end(span, method, scope, statuses)


def _end(span: ServerSpan, method: str, scope: Scope, statuses: list[int]) -> None:
    state = state_of(scope)
    route = state.get("route", "unknown")
    attributes: dict[str, str | int] = {"url.scheme": scope.get("scheme", "http")}
    if route != "unknown":
        attributes["http.route"] = route
    if statuses:
        attributes["http.response.status_code"] = statuses[0]
    span.end(
        usage_of(scope),
        attributes,
        name=None if route == "unknown" else f"{method} {route}",
        request_id=state.get("request_id"),
        code=state.get("code") or None,
        failed=not statuses or statuses[0] >= 500,
    )
