"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from tunesmith.serving._recent import Recent
from tunesmith.serving.usage import Usage, current_usage

__all__ = ["ModelMetrics", "ServingMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_BATCH_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


class ServingMetrics:
    """The counters of one app, in a registry of their own: two apps in a process never mix.

    No label holds what a client chose, so that clients cannot grow the server's memory.
    """

    # The version that every Prometheus reads; what is written here is the same in the later ones.
    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.recent = Recent()
        own = self.registry
        of = ["model", "version"]
        self._requests = Counter(
            "tunesmith_requests",
            "Requests answered, with the version that was asked",
            ["route", "status", *of],
            registry=own,
        )
        self._rejects = Counter(
            "tunesmith_rejects",
            "Requests not answered, by reason, with the version that was asked",
            ["code", *of],
            registry=own,
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
            ["stage", *of],
            registry=own,
            buckets=_SECONDS,
        )
        self._texts = Counter("tunesmith_texts", "Texts answered", of, registry=own)
        self._tokens = Counter("tunesmith_tokens", "Tokens read by the model", of, registry=own)
        self._cut = Counter(
            "tunesmith_cut_texts", "Texts of which the end was cut", of, registry=own
        )
        self._batch_texts = Histogram(
            "tunesmith_batch_texts",
            "Texts that went through the model together",
            of,
            registry=own,
            buckets=_BATCH_TEXTS,
        )
        self._batch_tokens = Counter(
            "tunesmith_batch_tokens",
            "Tokens that went through the model, with padding",
            of,
            registry=own,
        )
        self._cached = Counter(
            "tunesmith_cache_lookups",
            "Texts that were looked for in the cache, by whether it held them",
            [*of, "result"],
            registry=own,
        )
        self._shadowed = Counter(
            "tunesmith_shadow_texts",
            "Texts that a shadow answered too, by whether its answer was the same",
            [*of, "agrees"],
            registry=own,
        )
        self._model = Gauge(
            "tunesmith_model_info",
            "The models that are loaded",
            [*of, "runtime", "task"],
            registry=own,
        )
        self._queue = Gauge(
            "tunesmith_queue_depth", "Predictions running or waiting now", of, registry=own
        )
        self._ready = Gauge("tunesmith_ready", "1 once the model is warm", of, registry=own)

    def of(self, model: str, version: str) -> ModelMetrics:
        """What is counted of one version of a model."""
        return ModelMetrics(self, model, version)

    def count_request(
        self, route: str, status: int, seconds: float, code: str | None, usage: Usage
    ) -> None:
        """Counts an answered or refused request.

        Args:
            route: the path of its route.
            status: the status of its answer.
            seconds: from its first line to the end of its answer.
            code: why it was refused; None where it was not.
            usage: what of the models it took.
        """
        of = usage.model, usage.version
        if code is not None and route != "/readyz":  # which says "not yet" to no client
            self.recent.add_reject()
        elif usage.texts:
            self.recent.add_answer(seconds)
        self._requests.labels(route, str(status), *of).inc()
        self._request_seconds.labels(route).observe(seconds)
        if code is not None:
            self._rejects.labels(code, *of).inc()

    def render(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)


class ModelMetrics:
    """The counters of one version of a model."""

    def __init__(self, server: ServingMetrics, model: str, version: str) -> None:
        self._server = server
        self._of = (model, version)
        self._described: tuple[str, ...] | None = None
        # Looked up once; and nothing is counted as 0, and not as unknown.
        self._texts = server._texts.labels(*self._of)
        self._tokens = server._tokens.labels(*self._of)
        self._cut = server._cut.labels(*self._of)
        self._batch_texts = server._batch_texts.labels(*self._of)
        self._batch_tokens = server._batch_tokens.labels(*self._of)
        self._queue_seconds = server._stage_seconds.labels("queue", *self._of)
        self._inference_seconds = server._stage_seconds.labels("inference", *self._of)

    def describe(
        self,
        *,
        runtime: str,
        task: str,
        queue_depth: Callable[[], int],
        ready: Callable[[], bool],
    ) -> None:
        """Names the model; the queue and readiness are read whenever the metrics are asked for."""
        self._described = (*self._of, runtime, task)
        self._server._model.labels(*self._described).set(1)
        self._server._queue.labels(*self._of).set_function(queue_depth)
        self._server._ready.labels(*self._of).set_function(ready)

    def forget(self) -> None:
        """Leaves the model out of what is loaded; what was counted of it stays."""
        if self._described is not None:
            self._server._model.remove(*self._described)
            self._server._queue.remove(*self._of)
            self._server._ready.remove(*self._of)
            self._described = None

    def note_asked(self) -> None:
        """Notes with the request, answered or not in the end, that this version was asked."""
        usage = current_usage.get()
        if usage is not None:
            usage.model, usage.version = self._of

    def count_batch(self, num_texts: int, num_tokens: int) -> None:
        """Counts one batch; `num_tokens` with its padding. Safe from any thread."""
        self._server.recent.add_batch(num_texts)
        self._batch_texts.observe(num_texts)
        self._batch_tokens.inc(num_tokens)

    def count_shadowed(self, *, num_alike: int, num_texts: int) -> None:
        """Counts the texts that this version answered as a shadow, and how many alike."""
        self._server._shadowed.labels(*self._of, "yes").inc(num_alike)
        self._server._shadowed.labels(*self._of, "no").inc(num_texts - num_alike)

    def count_prediction(
        self,
        *,
        num_texts: int,
        num_tokens: int,
        num_cut: int,
        num_cached: int | None,
        queue_s: float,
        inference_s: float,
        started: float,
    ) -> None:
        """Counts one request's texts and stages, and notes them with the request that it is in.

        Args:
            num_texts: texts that were answered.
            num_tokens: tokens that the model read.
            num_cut: texts of which the end was cut.
            num_cached: texts of which the cache held the answer; None where none was asked.
            queue_s, inference_s: seconds spent waiting for the model, and in it.
            started: when the model was asked, by `time.perf_counter`.
        """
        usage = current_usage.get()
        if usage is not None:
            usage.texts += num_texts
            usage.tokens += num_tokens
            usage.started = usage.started or started
            usage.ended = perf_counter()
            usage.queue_s += queue_s
            usage.inference_s += inference_s
            if num_cached is not None:
                usage.cached = (usage.cached or 0) + num_cached
        self._texts.inc(num_texts)
        self._tokens.inc(num_tokens)
        self._cut.inc(num_cut)
        if num_cached is not None:
            cached = self._server._cached
            cached.labels(*self._of, "hit").inc(num_cached)
            cached.labels(*self._of, "miss").inc(num_texts - num_cached)
        if num_cached == num_texts:
            return  # which has no stages; times of nothing would hide those of the model
        self._queue_seconds.observe(queue_s)
        self._inference_seconds.observe(inference_s)
