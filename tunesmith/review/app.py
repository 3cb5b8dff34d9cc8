"""The web application of one review."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import asdict
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.checks import Action, Correction
from tunesmith.errors import InputError, OutputError
from tunesmith.review._decisions import Changed, Decisions
from tunesmith.review._queue import Queue
from tunesmith.serving import LOOPBACK_HOSTS
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.middleware import BodyCap, HostGuard, OriginGuard, RequestContext
from tunesmith.serving.problems import add_handlers
from tunesmith.serving.refusals import Refused

__all__ = ["create_app"]

_MAX_BODY_BYTES = 256 * 1024
_MAX_LABEL = 200
_ASSETS = {
    "": ("tunesmith.review", "page/index.html", "text/html"),
    "review.css": ("tunesmith.review", "page/review.css", "text/css"),
    "review.js": ("tunesmith.review", "page/review.js", "text/javascript"),
    "search.js": ("tunesmith.review", "page/search.js", "text/javascript"),
    "row.js": ("tunesmith.review", "page/row.js", "text/javascript"),
    # The look is that of the page on which a model is tried.
    "page.css": ("tunesmith.serving.page", "static/page.css", "text/css"),
    "icon.svg": ("tunesmith.serving.page", "static/icon.svg", "image/svg+xml"),
}


class Decision(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Action
    labels: list[Annotated[str, Field(min_length=1, max_length=_MAX_LABEL)]] = []
    new_label: bool = False
    check: Annotated[str, Field(max_length=100)] = ""
    seen: Annotated[str, Field(max_length=40)] | None = None


class TakenBack(BaseModel):
    """What the page sends to undo."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seen: Annotated[str, Field(max_length=40)]


class TokenGuard:
    """Answers only below `/<token>/`, an address that nobody can guess.

    The token stands in the path, so that whatever the page asks for by a relative address has it.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self.app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token):
            text = "This page needs the whole address that `tunesmith review` printed.\n"
            response = Response(text, 403, media_type="text/plain")
        elif not slash:
            headers = {"location": f"/{given}/"}
            response = Response(status_code=307, headers=headers)
        else:
            inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
            await self.app(inner, receive, send)
            return
        await response(scope, receive, send)


def create_app(
    queue: Queue,
    decisions: Decisions,
    *,
    token: str,
    allowed_hosts: Collection[str] | None = LOOPBACK_HOSTS,
    command: str = "",
) -> FastAPI:
    """An ASGI app that shows the rows of a queue and writes down what is decided.

    Args:
        token: what the address must begin with.
        allowed_hosts: names that the Host header may hold, without ports; None allows all.
        command: what to do with the corrections, shown when all rows are decided.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(_pages())
    app.include_router(_routes(queue, decisions, command))
    add_handlers(app, lists_routes="/openapi.json")
    app.add_exception_handler(RequestValidationError, _handle_invalid)
    app.add_exception_handler(Changed, _handle_changed)
    app.add_exception_handler(InputError, _handle_input)
    # The last one added is the first that a request meets.
    app.add_middleware(BodyCap, max_bytes=_MAX_BODY_BYTES)
    app.add_middleware(TokenGuard, token=token)
    app.add_middleware(OriginGuard)
    app.add_middleware(HostGuard, allowed=allowed_hosts)
    app.add_middleware(RequestContext, metrics=ServingMetrics(), routes=())
    return app


def _pages() -> APIRouter:
    routes = APIRouter(default_response_class=Response)
    for name, (package, file, kind) in _ASSETS.items():
        content = (resources.files(package) / file).read_bytes()

        @routes.get(f"/{name}", name=name or "page")
        async def asset(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

    return routes


def _routes(queue: Queue, decisions: Decisions, command: str) -> APIRouter:
    routes = APIRouter(prefix="/api", default_response_class=JSONResponse)
    num_rows = queue.subject.num_rows

    def known(row: int) -> int:
        if not 1 <= row <= num_rows:
            mend = f"rows are numbered from 1 to {num_rows:,}"
            raise Refused("not_found", f"there is no row {row}", mend=mend)
        return row

    @routes.get("/review")
    def review() -> dict[str, Any]:
        return _overview(queue, decisions, command)

    @routes.get("/decisions")
    def every() -> dict[str, Any]:
        return _told(decisions.all())

    @routes.get("/rows/{row}")
    def row_view(row: int) -> dict[str, Any]:
        return queue.view(known(row))

    @routes.put("/rows/{row}/decision")
    def decide(row: int, given: Annotated[Decision, Body()]) -> Any:
        return _refused(queue, decisions, given) or _decide(queue, decisions, known(row), given)

    @routes.delete("/rows/{row}/decision")
    def take_back(row: int, given: Annotated[TakenBack, Body()]) -> dict[str, Any]:
        decisions.take_back(known(row), seen=given.seen)
        return {}

    return routes


def _overview(queue: Queue, decisions: Decisions, command: str) -> dict[str, Any]:
    """What the page needs of the whole: rows to look at, labels, decisions."""
    subject = queue.subject
    return {
        "source": subject.source,
        "num_rows": subject.num_rows,
        "target": subject.target,
        "several": subject.has_several_labels,
        "labels": subject.label_counts.most_common(),
        "findings": [one.as_dict(0) for one in queue.findings],
        "items": [[item.row, *item.findings] for item in queue.items],
        "decisions": _told(decisions.all()),
        "corrections": str(decisions.path),
        "command": command,
    }


def _decide(queue: Queue, decisions: Decisions, row: int, given: Decision) -> dict[str, Any]:
    after: str | tuple[str, ...] | None = None
    if given.action == "relabel":
        labels = tuple(sorted({label.strip() for label in given.labels}))
        after = labels if queue.subject.has_several_labels else labels[0]
    made = decisions.decide(row, given.action, after, check=given.check, seen=given.seen)
    return asdict(made)


def _refused(queue: Queue, decisions: Decisions, given: Decision) -> Response | None:
    """Why a decision cannot be taken; None where it can."""
    if given.action != "relabel":
        return None
    subject = queue.subject
    labels = {label.strip() for label in given.labels}
    if subject.target is None:
        return _problem(422, "no_target", "the rows have no labels: run review with --target")
    if not all(labels) or any(not label.isprintable() for label in labels):
        return _problem(422, "invalid_label", "a label is a line of characters that can be seen")
    if not subject.has_several_labels and len(labels) != 1:
        return _problem(422, "invalid_label", "these rows have one label each")
    known = set(subject.label_counts)
    if labels <= known or given.new_label:
        return None
    for one in decisions.all().values():
        known |= {one.after} if isinstance(one.after, str) else set(one.after or ())
    if labels <= known:
        return None
    new = ", ".join(sorted(labels - known))
    return _problem(422, "new_label", f"{new!r} is not a label yet")


def _told(decisions: dict[int, Correction]) -> dict[str, Any]:
    return {str(row): asdict(one) for row, one in decisions.items()}


def _problem(status: int, code: str, message: str, **more: object) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}, **more}, status)


async def _handle_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return _problem(422, "invalid_request", f"{where}: {first['msg']}")


async def _handle_changed(_: Request, error: Exception) -> Response:
    assert isinstance(error, Changed)
    present = None if error.present is None else asdict(error.present)
    what = "taken back" if error.present is None else f"decided: {error.present.action}"
    message = f"Meanwhile this row was {what}, in another window. Look again, and decide."
    return _problem(409, "changed", message, present=present)


async def _handle_input(_: Request, error: Exception) -> Response:
    assert isinstance(error, InputError)
    status = 507 if isinstance(error, OutputError) else 409
    return _problem(status, "not_saved", f"Not saved: {error}")
