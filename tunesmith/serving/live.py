"""The live figures that the page shows: GET /v1/live."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tunesmith.serving._recent import WINDOW_S
from tunesmith.serving.catalogue import Catalogue
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.problems import responses

__all__ = ["router"]

_NONE = "null where there was none"


class LiveFigures(BaseModel):
    """What the server did in the last seconds."""

    window_s: float = Field(description="How far back it looks")
    requests_per_second: float = Field(description="Requests whose texts were answered")
    rejects_per_second: float = Field(description="Requests that were refused")
    latency_p50_ms: float | None = Field(description=f"Median of the answered; {_NONE}")
    latency_p99_ms: float | None = Field(description=f"99th percentile of the answered; {_NONE}")
    queue_depth: int = Field(description="Requests running or waiting now")
    batch_texts: float | None = Field(description=f"Texts that shared a batch, on average; {_NONE}")


def router(catalogue: Catalogue, metrics: ServingMetrics) -> APIRouter:
    """The route of the live figures."""
    routes = APIRouter(tags=["operation"], responses=responses(403))

    @routes.get("/v1/live", summary="Live figures", response_model=LiveFigures)
    async def live() -> LiveFigures:
        """Requests, latency, queue and batches of all models, over the last seconds."""
        found = metrics.recent.figures()
        return LiveFigures(
            window_s=WINDOW_S,
            requests_per_second=found.requests_per_second,
            rejects_per_second=found.rejects_per_second,
            latency_p50_ms=_milliseconds(found.latency_p50_s),
            latency_p99_ms=_milliseconds(found.latency_p99_s),
            queue_depth=sum(served.plane.pending for served in catalogue.all()),
            batch_texts=found.batch_texts,
        )

    return routes


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
