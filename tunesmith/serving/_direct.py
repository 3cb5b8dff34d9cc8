"""The short way to the endpoints that predictions come through."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.serving.problems import refusal
from tunesmith.serving.refusals import Refused

__all__ = ["DirectRoutes"]


class DirectRoutes:
    """Calls endpoints that read the request themselves and give a whole response.

    On its way to such a one the framework looks through its routes, opens four stacks and resolves
    dependencies that there are none of, which takes as long as all that is ours. It keeps the other
    routes, the document, and what is wrong with a path or a method.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, APIRoute) and _is_direct(route)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response: Response = await route.endpoint(Request(scope, receive))
        except Refused as error:
            response = refusal(scope, error)
        await response(scope, receive, send)


def _is_direct(route: APIRoute) -> bool:
    """Whether the endpoint takes the request and nothing else, at one path, and responds itself."""
    signature = inspect.signature(route.endpoint, eval_str=True)
    takes = [parameter.annotation for parameter in signature.parameters.values()]
    return (
        takes == [Request]
        and signature.return_annotation is Response
        and not route.dependencies
        and "{" not in route.path
    )
