"""The one page that is open to all: where a person in a browser signs in."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Scope

from tunesmith.serving.problems import problem, state_of
from tunesmith.serving.security._access import Access
from tunesmith.serving.security._refusals import client_address, too_many_failures, wrong_key
from tunesmith.serving.security._scopes import LOGIN, LOGIN_FILES
from tunesmith.serving.security._sessions import SESSION_S

__all__ = ["LOGIN_PAGE", "cookie_name", "router"]

_KINDS = {"css": "text/css", "js": "text/javascript"}


class Login(BaseModel):
    """What the page sends: a key, or the token of the link that the server printed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str = Field(min_length=1, max_length=200)


class _Page:
    """The page as bytes; it says nothing about the model."""

    def __init__(self) -> None:
        folder = resources.files("tunesmith.serving.security") / "page"
        self._html = (folder / "login.html").read_bytes()
        style = resources.files("tunesmith.serving.page") / "static" / "page.css"
        script, look = LOGIN_FILES
        self.files = {script: (folder / "login.js").read_bytes(), look: style.read_bytes()}

    def answer(self, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        return Response(self._html, status, headers, media_type="text/html")


LOGIN_PAGE = _Page()


def cookie_name(scope: Scope) -> str:
    """The session's cookie: browsers keep those of all ports of a host together, so it has ours.

    Under TLS the prefix has browsers refuse the cookie from anywhere else (RFC 6265bis, 4.1.3.2).
    """
    server = scope.get("server")
    prefix = "__Host-" if scope.get("scheme") == "https" else ""
    return f"{prefix}tunesmith_{server[1] if server else 0}"


def router(access: Access) -> APIRouter:
    """The login's routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=Response)

    @routes.get(LOGIN)
    async def page() -> Response:
        return LOGIN_PAGE.answer()

    @routes.post(LOGIN)
    async def login(request: Request) -> Response:
        return _signed_in(access, request, await request.body())

    @routes.delete(LOGIN)
    async def leave(request: Request) -> Response:
        response = Response(status_code=204)
        _set_cookie(response, request.scope, "", 0)
        return response

    for path, content in LOGIN_PAGE.files.items():
        _add_file(routes, path, content)
    return routes


def _add_file(routes: APIRouter, path: str, content: bytes) -> None:
    kind = _KINDS[path.rpartition(".")[2]]

    @routes.get(path, name=path)
    async def file() -> Response:
        return Response(content, media_type=kind)


def _signed_in(access: Access, request: Request, body: bytes) -> Response:
    scope = request.scope
    try:
        presented = Login.model_validate_json(body).key.strip()
    except ValidationError:
        return problem(scope, "invalid_request", 'send {"key": "…"}')
    key = access.by_login(presented, client_address(scope))
    if isinstance(key, int):
        return too_many_failures(scope, key)
    if key is None:
        return wrong_key(scope, more="; a link works once")
    state_of(scope)["key_id"] = key.id
    response = Response(status_code=204)
    _set_cookie(response, scope, access.sessions.sealed(key.id), SESSION_S)
    return response


def _set_cookie(response: Response, scope: Scope, value: str, seconds: int) -> None:
    """The session's cookie; 0 seconds have the browser forget it."""
    response.set_cookie(
        cookie_name(scope),
        value,
        max_age=seconds,
        secure=scope.get("scheme") == "https",
        httponly=True,
        samesite="strict",
    )
