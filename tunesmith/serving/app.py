"""The web application of one served model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from fastapi import FastAPI

from tunesmith.runtimes import Runtime
from tunesmith.serving import operations, page
from tunesmith.serving.catalogue import OneModel, Served
from tunesmith.serving.data_plane import DataPlane
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.middleware import BodyCap, HostGuard, OriginGuard, RequestContext
from tunesmith.serving.problems import add_handlers
from tunesmith.serving.protocols import native, open_inference, openai, tei

__all__ = ["LOOPBACK_HOSTS", "create_app"]

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_NOTHING: Mapping[str, object] = MappingProxyType({})
_DEFAULT_LIMITS = Limits()


def create_app(
    runtime: Runtime,
    *,
    name: str,
    details: Mapping[str, object] = _NOTHING,
    limits: Limits = _DEFAULT_LIMITS,
    allowed_hosts: Collection[str] | None = LOOPBACK_HOSTS,
) -> FastAPI:
    """An ASGI app that answers for `runtime`; its lifespan holds the inference thread.

    Args:
        runtime: the loaded bundle.
        name: what clients and the page call the model.
        details: JSON facts about the bundle, for `GET /v1/info` and the page; it reads "metrics"
            (as of `Metrics.as_dict`), "base" (an id, or a mapping with "id") and "examples" (a list
            of inputs to try).
        limits: the caps on requests.
        allowed_hosts: names that the Host header may hold, without ports; None allows all, for a
            server that others reach by names unknown here.
    """
    metrics = ServingMetrics()
    plane = DataPlane(runtime, limits=limits, metrics=metrics.of(name, runtime.version))
    catalogue = OneModel(Served(name, plane, details))
    app = _bare_app(plane, name)
    routers = [
        *(protocol.router(catalogue) for protocol in (native, tei, open_inference, openai)),
        operations.router(plane, metrics, name=name, details=details),
        page.router(app, runtime, name=name, details=details),
    ]
    paths = {"/openapi.json"}
    for router in routers:
        app.include_router(router)
        paths |= {getattr(route, "path", "") for route in router.routes}
    add_handlers(app)
    # The last one added is the first that a request meets.
    app.add_middleware(BodyCap, max_bytes=limits.max_body_bytes)
    app.add_middleware(OriginGuard)
    app.add_middleware(HostGuard, allowed=allowed_hosts)
    app.add_middleware(RequestContext, metrics=metrics, routes=paths)
    return app


def _bare_app(plane: DataPlane, name: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with plane.running():
            yield

    return FastAPI(
        title=name,
        summary=f"{plane.task.name}, served by Tunesmith",
        version=plane.runtime.version,
        # FastAPI's own documentation loads its parts from another server.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
