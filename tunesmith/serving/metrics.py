"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from tunesmith.serving.usage import current_usage

__all__ = ["ServingMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ServingMetrics:
    """The counters of one app, in a registry of their own: two apps in a process never mix.

    No label holds what a client chose, so that clients cannot grow the server's memory.
    """

    # The version that every Prometheus reads; what is written here is the same in the later ones.
    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self._requests = Counter(
            "tunesmith_requests", "Requests answered", ["route", "status"], registry=own
        )
        self._rejects = Counter(
            "tunesmith_rejects", "Requests not answered, by reason", ["code"], registry=own
        )
        self._request_seconds = Histogram(
            "tunesmith_request_seconds",
            "Whole time of a request",
            ["route"],
            registry=own,
            buckets=_SECONDS,
        )
        self._stage_seconds = Histogram(
            "tunesmith_stage_seconds",
            "Time of a prediction's stages: waiting for the model, and in the model",
            ["stage"],
            registry=own,
            buckets=_SECONDS,
        )
        self._texts = Counter("tunesmith_texts", "Texts answered", registry=own)
        self._tokens = Counter("tunesmith_tokens", "Tokens read by the model", registry=own)
        self._cut = Counter("tunesmith_cut_texts", "Texts of which the end was cut", registry=own)
        self._model = Gauge(
            "tunesmith_model_info",
            "The model that is served",
            ["name", "version", "runtime", "task"],
            registry=own,
        )
        self._queue = Gauge(
            "tunesmith_queue_depth", "Predictions running or waiting now", registry=own
        )
        self._ready = Gauge("tunesmith_ready", "1 once the model is warm", registry=own)

    def describe(self, *, name: str, version: str, runtime: str, task: str) -> None:
        """Names the model that is served."""
        self._model.labels(name, version, runtime, task).set(1)

    def watch(self, *, queue_depth: Callable[[], int], ready: Callable[[], bool]) -> None:
        """Reads these whenever the metrics are asked for."""
        self._queue.set_function(queue_depth)
        self._ready.set_function(ready)

    def count_request(self, route: str, status: int, seconds: float, code: str | None) -> None:
        """Counts an answered or refused request; `code` says why it was refused."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)
        if code is not None:
            self._rejects.labels(code).inc()

    def count_prediction(
        self, *, num_texts: int, num_tokens: int, num_cut: int, queue_s: float, inference_s: float
    ) -> None:
        """Counts one request's texts and stages, and notes them with the request that it is in."""
        usage = current_usage.get()
        if usage is not None:
            usage.texts += num_texts
            usage.tokens += num_tokens
        self._texts.inc(num_texts)
        self._tokens.inc(num_tokens)
        self._cut.inc(num_cut)
        self._stage_seconds.labels("queue").observe(queue_s)
        self._stage_seconds.labels("inference").observe(inference_s)

    def render(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)
