"""The web applications of one served model: for its users, and for those who run it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from tunesmith.bundles import Bundle, Registry, TrustedKeys
from tunesmith.runtimes import Runtime
from tunesmith.runtimes import load as load_runtime
from tunesmith.serving import administration, live, operations, page
from tunesmith.serving._cache import ResultCache
from tunesmith.serving._direct import DirectRoutes
from tunesmith.serving.catalogue import Catalogue, OneModel, Served
from tunesmith.serving.data_plane import DataPlane
from tunesmith.serving.deployments import Deployments
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.middleware import (
    BodyCap,
    HeaderCap,
    HostGuard,
    OriginGuard,
    RequestContext,
)
from tunesmith.serving.problems import Spellings, add_handlers
from tunesmith.serving.protocols import explain, native, open_inference, openai, tei
from tunesmith.serving.security import (
    Access,
    AccessGuard,
    ScopeOf,
    TrustedProxies,
    admin_scope,
    document_access,
    login_router,
    main_scope,
    read_networks,
)
from tunesmith.serving.tracing import TraceRequests

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = [
    "LOOPBACK_HOSTS",
    "Guards",
    "create_admin_app",
    "create_app",
    "create_registry_app",
]

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_PROTOCOLS = (native, explain, tei, open_inference, openai)
_NOTHING: Mapping[str, object] = MappingProxyType({})
_DEFAULT_LIMITS = Limits()
# FastAPI's own traces and logs, where it has them, hold paths, queries and messages of exceptions.
_NO_TELEMETRY: Any = MappingProxyType(
    dict.fromkeys(("auto_configure", "logs", "metrics", "tracing"), False)
)


@dataclass(frozen=True, slots=True)
class Guards:
    """What stands in front of an app's routes.

    Attributes:
        access: who may use them; None: everyone who reaches the server, which only a server on
            loopback, or a test, may want.
        allowed_hosts: names that the Host header may hold, without ports; None allows all, for a
            server that others reach by names unknown here.
        trusted_proxies: addresses or networks whose X-Forwarded-For and -Proto are believed.
        limits: the caps on requests.
        log_texts: whether the log holds the bodies of requests, as they are.
    """

    access: Access | None
    allowed_hosts: Collection[str] | None = LOOPBACK_HOSTS
    trusted_proxies: tuple[str, ...] = ()
    limits: Limits = _DEFAULT_LIMITS
    log_texts: bool = False


def create_app(
    runtime: Runtime,
    *,
    name: str,
    guards: Guards,
    details: Mapping[str, object] = _NOTHING,
    cache: ResultCache | None = None,
    tracer: Tracer | None = None,
) -> FastAPI:
    """An ASGI app that answers for `runtime`; its lifespan holds the inference thread.

    Args:
        runtime: the loaded bundle.
        name: what clients and the page call the model.
        guards: who may use it, and how much at once.
        details: JSON facts about the bundle, for `GET /v1/info` and the page; it reads "metrics"
            (as of `Metrics.as_dict`), "base" (an id, or a mapping with "id") and "examples" (a list
            of inputs to try).
        cache: answers that are kept; None: none are.
        tracer: makes a span of each request; None: there are no traces.
    """
    metrics = ServingMetrics()
    counted = metrics.of(name, runtime.version)
    plane = DataPlane(runtime, limits=guards.limits, metrics=counted, cache=cache)
    catalogue = OneModel(Served(name, plane, details))
    app = _bare_app(catalogue, name, version=runtime.version)
    return _with_routes(app, catalogue, metrics, guards, tracer)


def create_registry_app(
    registry: Registry,
    *,
    guards: Guards,
    load: Callable[[Bundle], Runtime] = load_runtime,
    cache: ResultCache | None = None,
    trusted: TrustedKeys | None = None,
    default: str | None = None,
    tracer: Tracer | None = None,
) -> FastAPI:
    """An ASGI app that answers for all models of a registry, and follows its changes.

    Args:
        registry: what is wanted.
        guards: who may use it, and how much at once.
        load: makes a bundle's runtime.
        trusted: keys of which one must have signed each version; None: none need be signed.
        default: the model that is asked where a request names none; None: the only one.
        cache, tracer: as of `create_app`.
    """
    metrics = ServingMetrics()
    deployments = Deployments(
        registry,
        limits=guards.limits,
        metrics=metrics,
        load=load,
        cache=cache,
        trusted=trusted,
        default=default,
    )
    app = _bare_app(deployments, "Tunesmith", version=importlib.metadata.version("tunesmith"))
    return _with_routes(app, deployments, metrics, guards, tracer)


def _with_routes(
    app: FastAPI,
    catalogue: Catalogue,
    metrics: ServingMetrics,
    guards: Guards,
    tracer: Tracer | None,
) -> FastAPI:
    """The app with every protocol's routes, guarded."""
    app.state.catalogue, app.state.metrics = catalogue, metrics
    every = [
        *(protocol.router(catalogue) for protocol in _PROTOCOLS),
        live.router(catalogue, metrics),
        operations.router(catalogue, metrics),
        page.router(app, catalogue, keyed=guards.access is not None),
    ]
    if guards.access is not None:
        every.append(login_router(guards.access))
    _guarded(app, every, metrics, guards, main_scope)
    if tracer is not None:
        app.add_middleware(TraceRequests, tracer=tracer)
    return app


def create_admin_app(served: FastAPI, *, guards: Guards) -> FastAPI:
    """The app of the admin listener, for those who run the server.

    Args:
        served: what `create_app` gave; both share their state.
        guards: who may use it; mostly with the same `Access`.
    """
    catalogue: Catalogue = served.state.catalogue
    metrics: ServingMetrics = served.state.metrics
    app = FastAPI(
        title=f"{served.title}: admin",
        version=served.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    every = [operations.health_router(catalogue, metrics)]
    if isinstance(catalogue, Deployments):
        every.append(administration.router(catalogue.registry))
    _guarded(app, every, metrics, guards, admin_scope)
    return app


def _guarded(
    app: FastAPI,
    routers: Iterable[APIRouter],
    metrics: ServingMetrics,
    guards: Guards,
    scope_of: ScopeOf,
) -> None:
    """Puts the routes into the app, and the guards in front of all of them."""
    routes: list[BaseRoute] = []
    for router in routers:
        app.include_router(router)
        routes += router.routes
    paths = {"/openapi.json", *(getattr(route, "path", "") for route in routes)}
    spellings = Spellings(routes)
    add_handlers(app, lists_routes="/docs" if "/docs" in paths else "/openapi.json")
    limits = guards.limits
    # The last one added is the first that a request meets.
    app.add_middleware(DirectRoutes, routes=routes)
    app.add_middleware(BodyCap, max_bytes=limits.max_body_bytes, timeout_s=limits.timeout_s)
    if guards.access is not None:
        document_access(app, scope_of, spellings)
        app.add_middleware(AccessGuard, access=guards.access, scope_of=scope_of)
    app.add_middleware(OriginGuard)
    app.add_middleware(HostGuard, allowed=guards.allowed_hosts)
    app.add_middleware(HeaderCap, max_bytes=limits.max_header_bytes)
    app.add_middleware(
        RequestContext,
        metrics=metrics,
        routes=paths,
        spellings=spellings,
        timeout_s=limits.request_timeout_s,
        log_texts=guards.log_texts,
    )
    if guards.trusted_proxies:
        app.add_middleware(TrustedProxies, networks=read_networks(guards.trusted_proxies))


def _bare_app(catalogue: Catalogue, name: str, *, version: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with catalogue.running():
            yield

    return FastAPI(
        title=name,
        summary=f"{catalogue.task.name}, served by Tunesmith",
        version=version,
        # FastAPI's own documentation loads its parts from another server.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        lifespan=lifespan,
    )
