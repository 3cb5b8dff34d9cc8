"""The models of a registry, kept as their operators want them, without a failed request."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.bundles import Bundle, Registry, Status, Traffic, TrustedKeys, open_bundle
from tunesmith.errors import BundleError, TunesmithError
from tunesmith.events import log_event
from tunesmith.memory import give_back
from tunesmith.runtimes import Runtime
from tunesmith.runtimes import load as load_runtime
from tunesmith.serving._cache import ResultCache
from tunesmith.serving._cores import Cores
from tunesmith.serving.catalogue import Served, bundle_details, unknown
from tunesmith.serving.data_plane import Answers, DataPlane
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.refusals import Overloaded, Refused
from tunesmith.tasks import Field, Task, TextClassification

__all__ = ["Deployments"]

_LOOKS_EVERY_S = 0.5
_NO_MODEL = TextClassification((Field("text"),), ("label",))
_MOST_SHADOWED = 4
"""Requests that may wait for a shadow; further ones are not shown to it."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What of a model answers now; replaced as a whole, so that no request sees half a change."""

    traffic: Traffic
    loaded: dict[str, Served]

    def pick(self) -> Served:
        canary = self.traffic.canary
        # Which requests a canary gets must be chance; nothing secret hangs on it.
        if canary is not None and random.random() < canary.share:  # noqa: S311
            return self.loaded[canary.version]
        return self.loaded[self.traffic.production]


class Deployments:
    """Follows a registry: what is wanted of each model is loaded, tried, switched to, or refused.

    A version takes traffic only after its files are whole, it is loaded and warm, and it answers
    its golden rows right. Then all requests that come go to it in one step, and the version before
    is stopped once it has answered what it had. Where any step fails, what answered goes on, and
    the registry's status says why.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        limits: Limits,
        metrics: ServingMetrics,
        load: Callable[[Bundle], Runtime] = load_runtime,
        cache: ResultCache | None = None,
        trusted: TrustedKeys | None = None,
        default: str | None = None,
        looks_every_s: float = _LOOKS_EVERY_S,
    ) -> None:
        """Reads nothing yet; see `running`.

        Args:
            registry: what is wanted.
            limits: the caps on requests.
            metrics: where each version is counted.
            load: makes a bundle's runtime.
            cache: answers that are kept, of all versions; None: none are.
            trusted: keys of which one must have signed each version; None: none need be signed.
            default: the model that is asked where a request names none; None: the only one.
            looks_every_s: how often the registry is looked at.
        """
        self.registry = registry
        self.limits = limits
        self._metrics = metrics
        self._load = load
        self._looks_every_s = looks_every_s
        self._cache = cache
        self._trusted = trusted
        self._default = default
        self._routes: dict[str, _Route] = {}
        self._tried: dict[str, int] = {}
        self._cores = Cores()
        self._beside: set[asyncio.Task[None]] = set()
        self._started = False

    @property
    def ready(self) -> bool:
        """Whether every model that was wanted at the start was tried, and one can be asked."""
        return not self.waits_for

    @property
    def waits_for(self) -> str:
        if not self._started:
            return "the models are being loaded"
        if self._routes:
            return ""
        if self._tried:
            return "no model could be loaded; the server's log says why"
        return "nothing is deployed yet"

    @property
    def task(self) -> Task:
        """What the first model of the registry does; see `Catalogue`."""
        for name in self.registry.names():
            try:
                traffic = self.registry.traffic(name)
                if traffic is not None:
                    path = self.registry.bundle_path(name, traffic.production)
                    return open_bundle(path, verify=False, trusted=self._trusted).task
            except TunesmithError:
                continue  # whoever brings it up will say what is wrong
        return _NO_MODEL

    def find(self, name: str | None = None, version: str | None = None) -> Served:
        """Who answers; see `Catalogue`."""
        route = self._route(self._default if name is None else name)
        if version is None:
            return route.pick()
        if version not in route.loaded:
            raise unknown(f"no such version is loaded; here are {', '.join(route.loaded)}")
        return route.loaded[version]

    def _route(self, name: str | None) -> _Route:
        if name in self._routes:
            return self._routes[name]
        if name is None and len(self._routes) == 1:
            return next(iter(self._routes.values()))
        if why := self.waits_for:
            raise Overloaded("not_ready", why, retry_after_s=1)
        known = ", ".join(self._routes)
        if name is None:
            raise unknown(
                f"the request names no model; here are {known}, and --default of tunesmith serve "
                "chooses one of them"
            )
        raise unknown(f"there is no such model; here are {known}")

    def all(self) -> Sequence[Served]:
        """Every version that is loaded; the default model's first, and trials behind production."""
        names = sorted(self._routes, key=lambda name: name != self._default)
        routes = [self._routes[name] for name in names]
        return [route.loaded[version] for route in routes for version in route.traffic.versions]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves for as long as the block lasts."""
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following, *self._beside])
            for served in self.all():
                await served.plane.retire()
            self._routes = {}

    async def _follow(self) -> None:
        """Starts with what answered last, then looks for changes again and again."""
        for name in await self._names():
            await self._restore(name)
        while True:
            for name in await self._names():
                await self.reconcile(name)
            self._started = True
            await asyncio.sleep(self._looks_every_s)

    async def _names(self) -> list[str]:
        try:
            return await asyncio.to_thread(self.registry.names)
        except OSError as error:  # a share that is away for a moment; what is loaded answers on
            log_event(logging.ERROR, "registry_unreadable", error=error)
            return []

    async def _restore(self, name: str) -> None:
        """Begins with the traffic that was served before the server ended, however it ended."""
        try:
            status = await asyncio.to_thread(self.registry.status, name)
            # What failed may have failed for lack of memory, or has been mended since.
            self._tried[name] = 0 if status.fault else status.tried
            if status.serving is not None:
                self._routes[name] = await self._brought_up(name, status.serving)
        except Exception as error:  # noqa: BLE001 - whatever a version does, the others answer on
            log_event(logging.ERROR, "restore_failed", model=name, error=_reason(error))
            self._tried[name] = 0

    async def reconcile(self, name: str) -> None:
        """Follows the wanted traffic of a model, if it is a change that was not tried yet."""
        try:
            wanted = await asyncio.to_thread(self.registry.traffic, name)
        except TunesmithError as error:
            log_event(logging.ERROR, "registry_unreadable", model=name, error=error)
            return
        if wanted is None or wanted.change <= self._tried.get(name, 0):
            return
        self._tried[name] = wanted.change
        before = self._routes.get(name)
        try:
            route = await self._brought_up(name, wanted)
        except Exception as error:  # noqa: BLE001 - whatever a version does, the others answer on
            fault = _reason(error)
            log_event(logging.ERROR, "deploy_failed", model=name, change=wanted.change, error=fault)
            await self._note(name, before, wanted.change, fault)
            return
        self._routes[name] = route
        await self._note(name, route, wanted.change, "")
        log_event(logging.INFO, "deployed", model=name, version=wanted.production)
        for version, served in ({} if before is None else before.loaded).items():
            if version not in route.loaded:
                self._start_beside(_retired(served))

    async def _note(self, name: str, route: _Route | None, tried: int, fault: str) -> None:
        serving = None if route is None else route.traffic
        status = Status(serving=serving, tried=tried, fault=fault)
        try:
            await asyncio.to_thread(self.registry.set_status, name, status)
        except TunesmithError as error:  # a full disk must not stop the answers
            log_event(logging.ERROR, "status_not_written", model=name, error=error)

    async def _brought_up(self, name: str, traffic: Traffic) -> _Route:
        """A route of which every version is loaded, warm and tried."""
        known = self._routes[name].loaded if name in self._routes else {}
        fresh: dict[str, Served] = {}
        try:
            for version in traffic.versions:
                if version not in known:
                    fresh[version] = await self._bring_up(name, version)
        except BaseException:
            for served in fresh.values():
                await served.plane.retire()
            raise
        every = {version: fresh.get(version) or known[version] for version in traffic.versions}
        return _Route(traffic, self._with_shadow(every, traffic))

    async def _bring_up(self, name: str, version: str) -> Served:
        path = await asyncio.to_thread(self.registry.bundle_path, name, version)
        bundle, runtime = await asyncio.to_thread(self._loaded, path, version)
        plane = DataPlane(
            runtime,
            limits=self.limits,
            metrics=self._metrics.of(name, version),
            cores=self._cores,
            cache=self._cache,
        )
        served = Served(name, plane, bundle_details(bundle))
        try:
            await plane.warm_up()
            golden = bundle.golden()
            if golden is not None:
                await asyncio.to_thread(golden.check, runtime.task, runtime.outputs, runtime.name)
        except BaseException:
            await served.plane.retire()
            raise
        return served

    def _loaded(self, path: Path, version: str) -> tuple[Bundle, Runtime]:
        bundle = open_bundle(path, trusted=self._trusted)
        if bundle.version != version:
            what = f"holds version {bundle.version}, and stands for {version}"
            raise BundleError(what, where=str(path), mend="deploy the bundle again")
        return bundle, self._load(bundle)

    def _with_shadow(self, loaded: dict[str, Served], traffic: Traffic) -> dict[str, Served]:
        """The versions, of which that in production shows its requests to the shadow."""
        production = loaded[traffic.production]
        watched = None
        if traffic.shadow is not None:
            shadow = loaded[traffic.shadow]

            def watched(items: Sequence[object], answers: Answers) -> None:
                if shadow.plane.pending < _MOST_SHADOWED:
                    self._start_beside(self._shadow(shadow, items, answers))

        own = Served(production.name, production.plane, production.details, watched)
        return {**loaded, traffic.production: own}

    async def _shadow(self, shadow: Served, items: Sequence[object], answers: Answers) -> None:
        try:
            found = await shadow.plane.predict(items)
        except (Refused, ArithmeticError):
            return
        alike = sum(
            own.chosen == other.chosen
            for own, other in zip(found.predictions, answers.predictions, strict=True)
        )
        counted = self._metrics.of(shadow.name, shadow.version)
        counted.count_shadowed(num_alike=alike, num_texts=len(items))

    def _start_beside(self, work: Coroutine[None, None, None]) -> None:
        # In a context of its own: what is done beside a request is not the request's use.
        task = asyncio.create_task(work, context=contextvars.Context())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)


async def _retired(served: Served) -> None:
    """Stops a version that answers no more, once it has answered what it had, and frees it."""
    await served.plane.retire()
    del served  # the last that holds the model
    await asyncio.to_thread(give_back)


def _reason(error: Exception) -> str:
    """What an operator is told; the words of other than our own errors may hold anything."""
    return str(error) if isinstance(error, TunesmithError) else type(error).__name__
