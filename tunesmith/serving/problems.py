"""Refusals as HTTP answers: a JSON shape for every protocol, and the only place that maps codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import Scope

from tunesmith.serving.refusals import Code, Overloaded, Refused

__all__ = [
    "Problem",
    "Respelled",
    "Spellings",
    "add_handlers",
    "problem",
    "refusal",
    "responses",
    "state_of",
    "status_of",
]

_STATUSES: Mapping[Code, int] = {
    "bad_content_length": 400,
    "invalid_http": 400,
    "not_json": 400,
    "unauthorized": 401,
    "cross_origin": 403,
    "host_not_allowed": 403,
    "insufficient_scope": 403,
    "no_embeddings": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "body_too_large": 413,
    "text_too_long": 413,
    "too_many_texts": 413,
    "unsupported_encoding": 415,
    "unsupported_media_type": 415,
    "empty_text": 422,
    "invalid_request": 422,
    "invalid_text": 422,
    "quota_exceeded": 429,
    "too_many_failures": 429,
    "headers_too_large": 431,
    "client_gone": 499,
    "internal": 500,
    "not_ready": 503,
    "overloaded": 503,
    "timed_out": 503,
    "too_many_connections": 503,
}
_TITLES = {
    400: "The request is not HTTP, its body is not JSON, or not as long as the header says",
    401: "No key, or one that is not known, has expired or was revoked",
    403: "The key lacks the scope; another site's page; or another server's host name",
    404: "No such route or model, or one that gives no embeddings",
    405: "The route knows other methods; see the Allow header",
    408: "The body did not arrive in time",
    413: "The body, the list or a text is too long",
    415: "The body is not declared as application/json, or is compressed",
    422: "The JSON is not what the route reads",
    429: "The key's quota is used up, or the address sent too many wrong keys; see Retry-After",
    431: "The address and the headers are too long",
    500: "The server failed; its log knows the request id",
    503: "The server is busy or not ready; see the Retry-After header",
}
_MAX_MESSAGE = 500


class ProblemDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="The fault's stable name, for programs", examples=["empty_text"])
    message: str = Field(description="What is wrong, where, and how to mend it")
    request_id: str = Field(description="Also in the x-request-id header and the server's log")


class Problem(BaseModel):
    """The shape of every error, but for protocols that have one of their own."""

    error: ProblemDetail


def status_of(code: Code) -> int:
    """The HTTP status of a fault; other protocols are counted and logged by it too."""
    return _STATUSES[code]


def state_of(scope: Scope) -> dict[str, Any]:
    """What the server notes of a request: its id, and the code it was refused with."""
    state: dict[str, Any] = scope.setdefault("state", {})
    return state


def problem(
    scope: Scope, code: Code, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to a request that is refused, noted for the log and the metrics."""
    state = state_of(scope)
    state["code"] = code
    spellings: Spellings | None = state.get("spellings")
    respelled = None if spellings is None else spellings.of(scope["path"])
    if respelled is not None:
        return JSONResponse(respelled.spell(code, _cut(message)), _STATUSES[code], headers)
    error = {"code": code, "message": _cut(message), "request_id": state.get("request_id", "")}
    return JSONResponse({"error": error}, _STATUSES[code], headers)


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"


def refusal(scope: Scope, error: Refused) -> Response:
    """The answer that a `Refused` stands for."""
    return problem(scope, error.code, error.message, _wait(error))


def _wait(error: Refused) -> dict[str, str] | None:
    return {"retry-after": str(error.retry_after_s)} if isinstance(error, Overloaded) else None


class Respelled:
    """Refusals in the JSON of another protocol, for the clients that read that.

    Attributes:
        spell: a code and its message as the protocol's JSON.
        model: that JSON, for the OpenAPI document.
    """

    def __init__(
        self, spell: Callable[[Code, str], Mapping[str, Any]], model: type[BaseModel]
    ) -> None:
        self.spell = spell
        self.model = model

    @property
    def route_class(self) -> type[APIRoute]:
        """For the protocol's `APIRouter`; `Spellings` finds it by that."""

        class Route(APIRoute):
            respelled = self

        return Route

    def responses(self, *statuses: int) -> dict[int | str, dict[str, Any]]:
        """As the function of this name, with the protocol's JSON."""
        return {
            status: {**entry, "model": self.model} for status, entry in responses(*statuses).items()
        }


class Spellings:
    """Which routes refuse in the JSON of another protocol, whoever it is that refuses."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._found = [
            (route.path_regex, route.respelled)
            for route in routes
            if isinstance(route, APIRoute) and isinstance(route, _HasSpelling)
        ]

    def of(self, path: str) -> Respelled | None:
        """By a path, or by a route's template; guards refuse before there is a route."""
        return next((own for regex, own in self._found if regex.match(path)), None)


@runtime_checkable
class _HasSpelling(Protocol):
    respelled: Respelled


def add_handlers(app: FastAPI, *, lists_routes: str) -> None:
    """Makes every refusal, and every error of the web framework, a `Problem`.

    Args:
        lists_routes: the path that tells those who took a wrong one.
    """
    app.state.lists_routes = lists_routes
    app.add_exception_handler(Refused, _handle_refused)
    app.add_exception_handler(HTTPException, _handle_http)


async def _handle_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(request.scope, error)


async def _handle_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message = f"there is nothing here; GET {request.app.state.lists_routes} lists routes"
        return problem(request.scope, "not_found", message)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.scope['path']} does not know this method; use {allowed or 'another'}"
        return problem(request.scope, "method_not_allowed", message, error.headers)
    return problem(request.scope, "invalid_request", "the request cannot be understood")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for the OpenAPI document."""
    codes: dict[int, list[str]] = defaultdict(list)
    for code, status in _STATUSES.items():
        codes[status].append(f"`{code}`")
    return {
        status: {"model": Problem, "description": f"{_TITLES[status]} ({', '.join(codes[status])})"}
        for status in statuses
    }
