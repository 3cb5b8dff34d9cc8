"""Spans of requests, and that nothing of OpenTelemetry is there without being asked for."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from tunesmith.errors import ConfigError, MissingDependencyError
from tunesmith.serving import tracing
from tunesmith.serving._cache import ResultCache
from tunesmith.serving.tracing import open_tracer, traced, why_not_traced

from .hash_runtime import HashRuntime

Serve = Callable[..., TestClient]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
try:
    IS_INSTALLED = importlib.util.find_spec("opentelemetry.sdk") is not None
except ImportError:
    IS_INSTALLED = False
needs_sdk = pytest.mark.skipif(
    not IS_INSTALLED, reason="needs OpenTelemetry: pip install 'tunesmith[otel]'"
)


class Traced:
    """A client of a traced app, and its spans once they are exported."""

    def __init__(self, serve: Serve, **changes: object) -> None:
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter = InMemorySpanExporter()
        tracer, self._shut_down = open_tracer(self._exporter)
        self.runtime = HashRuntime()
        self.client = serve(self.runtime, tracer=tracer, **changes)

    def spans(self) -> list:
        self._shut_down()
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def app(serve: Serve) -> Iterator[Traced]:
    made = Traced(serve)
    yield made
    made.spans()


@needs_sdk
def test_a_span_for_a_request_with_its_stages_beneath(app: Traced) -> None:
    body = {"texts": ["my secret", "two"]}
    answer = app.client.post("/v1/predict?q=secret", json=body, headers={"traceparent": PARENT})
    queue, inference, request = app.spans()
    assert [span.name for span in (queue, inference, request)] == [
        "queue",
        "inference",
        "POST /v1/predict",
    ]
    assert format(request.context.trace_id, "032x") == PARENT.split("-")[1]
    assert format(request.parent.span_id, "016x") == PARENT.split("-")[2]
    for child in (queue, inference):
        assert child.parent.span_id == request.context.span_id
        assert child.context.trace_id == request.context.trace_id
    assert request.start_time <= queue.start_time <= queue.end_time == inference.start_time
    assert inference.start_time <= inference.end_time <= request.end_time
    found = dict(request.attributes)
    assert found.pop("tunesmith.queue_ms") >= 0
    assert found.pop("tunesmith.inference_ms") > 0
    assert found == {
        "http.request.method": "POST",
        "http.route": "/v1/predict",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "tunesmith.request_id": answer.headers["x-request-id"],
        "tunesmith.model": "Tickets",
        "tunesmith.version": "0123456789ab",
        "tunesmith.num_texts": 2,
        "tunesmith.num_tokens": 3,
        "tunesmith.num_cached": 0,
    }
    assert request.kind.name == "SERVER"
    assert request.resource.attributes["service.name"] == "tunesmith"
    assert "secret" not in "".join(span.to_json() for span in (queue, inference, request))


@needs_sdk
def test_refusals_and_faults_are_told_apart(app: Traced) -> None:
    app.client.post("/v1/predict", json={"texts": [" "]})
    app.client.request("BREW", "/my/secret")
    app.runtime.fault = RuntimeError("a secret")
    app.client.post("/v1/predict", json={"texts": ["a"]})
    refused, unknown, failed = app.spans()
    assert refused.attributes["http.response.status_code"] == 422
    assert refused.attributes["error.type"] == "empty_text"
    assert refused.status.status_code.name == "UNSET"
    assert (unknown.name, "http.route" in unknown.attributes) == ("_OTHER", False)
    assert failed.status.status_code.name == "ERROR"
    assert failed.attributes["error.type"] == "internal"
    assert "secret" not in "".join(span.to_json() for span in (refused, unknown, failed))


@needs_sdk
def test_a_request_of_its_own_where_the_header_is_none(app: Traced) -> None:
    app.client.get("/v1/info", headers={"traceparent": "00-secret-01"})
    app.client.head("/v1/info")
    first, second = app.spans()
    assert (first.name, first.parent) == ("GET /v1/info", None)
    assert second.name == "HEAD /v1/info"


@needs_sdk
def test_what_machines_ask_all_the_time_is_left_out(app: Traced) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/v1/live"):
        assert app.client.get(path).status_code == 200
    assert app.spans() == []


@needs_sdk
def test_an_answer_from_the_cache_has_no_stages(serve: Serve) -> None:
    app = Traced(serve, cache=ResultCache(10))
    for _ in range(2):
        app.client.post("/v1/predict", json={"texts": ["a"]})
    spans = app.spans()
    assert [span.name for span in spans] == ["queue", "inference", *["POST /v1/predict"] * 2]
    assert spans[-1].attributes["tunesmith.num_cached"] == 1


@needs_sdk
@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/v1/traces"),
        ("https://a.example/otlp/", "https://a.example/otlp/v1/traces"),
        ("http://127.0.0.1:9/v1/traces", "http://127.0.0.1:9/v1/traces"),
    ],
)
def test_sends_to_the_collector_that_it_is_told(given: str, used: str) -> None:
    assert tracing._exporter(given)._endpoint == used  # type: ignore[attr-defined]
    with traced(given) as tracer:
        assert tracer is not None


@needs_sdk
def test_sends_to_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert tracing._exporter(None)._endpoint == "http://127.0.0.1:9/v1/traces"  # type: ignore[attr-defined]
    with traced(None) as tracer:
        assert tracer is not None
    assert why_not_traced(None) is None


@needs_sdk
@pytest.mark.parametrize("url", ["localhost:4318", "ftp://a", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is no URL of a collector"), traced(url):
        pass


def test_without_the_extra_an_option_is_refused_and_a_variable_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "_is_installed", lambda: False)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'tunesmith\[otel\]'"),
        traced("http://a"),
    ):
        pass
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with traced(None) as tracer:
        assert tracer is None
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set, and nothing is traced" in str(why_not_traced(None))


def test_nothing_is_traced_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with traced(None) as tracer:
        assert tracer is None
    assert why_not_traced(None) is None
    code = (
        "import json, sys; import fastapi; before = set(sys.modules); import tunesmith.serving; "
        "from tunesmith.serving.tracing import traced; traced(None).__enter__(); "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # FastAPI itself imports the interface, from 0.160 on or so; the rest is ours to leave out.
    assert not [name for name in json.loads(done.stdout) if name.startswith("opentelemetry")]


@needs_sdk
def test_a_tracer_of_the_whole_process_is_told_nothing() -> None:
    code = """
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.serving.hash_runtime import HashRuntime, make_app

provider, exporter = TracerProvider(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
with TestClient(make_app(HashRuntime())) as client:
    client.get("/my/secret")
print(len(exporter.get_finished_spans()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
