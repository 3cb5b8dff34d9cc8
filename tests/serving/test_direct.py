"""The short way gives what the framework's gives, and leaves the rest to it."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tunesmith.serving._direct import DirectRoutes
from tunesmith.serving.problems import add_handlers
from tunesmith.serving.refusals import Overloaded, Refused


def served(*, direct: bool) -> tuple[TestClient, list[bool]]:
    """A client, and for each request to `/take` whether the framework saw it."""
    routes = APIRouter()
    through_framework: list[bool] = []

    @routes.post("/take")
    async def take(request: Request) -> Response:
        through_framework.append("fastapi_inner_astack" in request.scope)
        body = await request.body()
        if body == b"wrong":
            raise Refused("invalid_request", "is wrong", where="body")
        if body == b"late":
            raise Overloaded("overloaded", "is full", retry_after_s=3)
        return PlainTextResponse(body, status_code=202, headers={"x-own": "1"})

    @routes.post("/named/{name}")
    async def named(name: str, request: Request) -> Response:
        return PlainTextResponse(f"{name} {request.path_params}")

    @routes.get("/take")
    async def look() -> dict[str, int]:
        return {"a": 1}

    app = FastAPI()
    app.include_router(routes)
    add_handlers(app, lists_routes="/openapi.json")
    if direct:
        app.add_middleware(DirectRoutes, routes=routes.routes)
    return TestClient(app), through_framework


def test_answers_are_the_same_either_way() -> None:
    (short, seen), (long, seen_long) = served(direct=True), served(direct=False)
    for method, path, body in [
        ("POST", "/take", "text"),
        ("POST", "/take", "wrong"),
        ("POST", "/take", "late"),
        ("POST", "/take?a=1", "text"),
        ("POST", "/take/", "text"),  # sent on to /take
        ("PUT", "/take", "text"),
        ("GET", "/take", ""),
        ("POST", "/named/a%20b", "text"),
    ]:
        one, other = (client.request(method, path, content=body) for client in (short, long))
        assert one.status_code == other.status_code, path
        assert one.content == other.content
        assert dict(one.headers) == dict(other.headers)
    assert seen == [False] * 5
    assert seen_long == [True] * 5
