"""The routes that are for those who run the server: alive, ready, metrics, and what is served."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served, find_named
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.problems import responses
from tunesmith.serving.refusals import Overloaded

__all__ = ["health_router", "router"]


class Status(BaseModel):
    """That all is well."""

    status: str


class Info(BaseModel):
    """What is served, and within which limits."""

    model: dict[str, str]
    task: dict[str, Any]
    runtime: str
    max_length: int
    embedding_size: int | None
    limits: dict[str, int | float]
    details: dict[str, Any]


def router(catalogue: Catalogue, metrics: ServingMetrics) -> APIRouter:
    """The routes of operation."""
    routes = health_router(catalogue, metrics)

    @routes.get(
        "/v1/info", summary="What is served", response_model=Info, responses=responses(404, 422)
    )
    async def information(model: str | None = None) -> Response:
        """The model, its task and labels, its measured quality, and the limits of a request."""
        described = to_json(_info(find_named(catalogue, model)), inf_nan_mode="null")
        return Response(described, media_type="application/json")

    return routes


def health_router(catalogue: Catalogue, metrics: ServingMetrics) -> APIRouter:
    """Those of them that both listeners have: alive, ready, metrics."""
    routes = APIRouter(tags=["operation"], responses=responses(403))

    @routes.get("/healthz", summary="Alive", response_model=Status)
    async def healthz() -> Status:
        """200 for as long as the process answers at all."""
        return Status(status="alive")

    @routes.get("/readyz", summary="Ready", response_model=Status, responses=responses(503))
    async def readyz() -> Status:
        """200 once the model is warm; 503 before that, and while the server stops."""
        if why := catalogue.waits_for:
            raise Overloaded("not_ready", why, retry_after_s=1)
        return Status(status="ready")

    @routes.get(
        "/metrics",
        summary="Metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format"}},
    )
    async def prometheus() -> Response:
        """Counts and times, for Prometheus."""
        return Response(metrics.render(), headers={"content-type": metrics.content_type})

    return routes


def _info(served: Served) -> Info:
    runtime = served.plane.runtime
    return Info(
        model={"name": served.name, "version": served.version},
        task=dict(runtime.task.as_dict()),
        runtime=runtime.name,
        max_length=runtime.max_length,
        embedding_size=runtime.embedding_size,
        limits=asdict(served.plane.limits),
        details=dict(served.details),
    )
