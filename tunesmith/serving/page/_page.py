"""The pages, from templates and files that lie in memory: no request ever reaches the disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tunesmith.serving.catalogue import Catalogue, Served
from tunesmith.serving.page import _facts
from tunesmith.serving.page._operations import operations

__all__ = ["router"]

_FOLDER = Path(__file__).parent
_ASSETS = {
    "docs.js": "text/javascript",
    "dom.js": "text/javascript",
    "explain.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "live.js": "text/javascript",
    "page.css": "text/css",
    "page.js": "text/javascript",
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, indent=2)


def router(app: FastAPI, catalogue: Catalogue, *, keyed: bool = False) -> APIRouter:
    """The page at `/`, the documentation at `/docs`, and what both need under `/static`.

    With `keyed` their commands send a key. Where there are several models, `/?model=NAME` is the
    page of one.
    """
    routes = APIRouter(include_in_schema=False, default_response_class=Response)
    assets = {file: (_FOLDER / "static" / file).read_bytes() for file in _ASSETS}
    digest = hashlib.sha256(b"".join(assets.values())).hexdigest()[:12]
    shared = {"assets": digest, "keyed": keyed}

    @routes.get("/")
    async def page(model: str | None = None) -> Response:
        names = list(dict.fromkeys(served.name for served in catalogue.all()))
        if not names:
            text = _TEMPLATES.get_template("empty.html").render(name="Tunesmith", **shared)
            return Response(text, media_type="text/html")
        served = catalogue.find(model or names[0])
        view = _index(served, names)
        text = _TEMPLATES.get_template("index.html").render(view, **shared)
        return Response(text, media_type="text/html")

    @routes.get("/docs")
    async def documentation() -> Response:
        listed = operations(app.openapi())
        text = _TEMPLATES.get_template("docs.html").render(
            operations=listed, name=app.title, version=app.version, **shared
        )
        return Response(text, media_type="text/html")

    for file, content in assets.items():
        _add_asset(routes, file, content)
    return routes


def _add_asset(routes: APIRouter, file: str, content: bytes) -> None:
    # The address holds the content's digest, so that a copy never goes stale.
    headers = {"cache-control": "public, max-age=31536000, immutable"}

    @routes.get(f"/static/{file}", name=file)
    async def asset() -> Response:
        return Response(content, media_type=_ASSETS[file], headers=headers)


def _index(served: Served, names: Sequence[str]) -> dict[str, Any]:
    runtime, details = served.plane.runtime, served.details
    task = runtime.task
    metrics = details.get("metrics")
    measured = metrics if isinstance(metrics, Mapping) else {}
    held_out, confidence = measured.get("num_examples"), measured.get("confidence")
    return {
        "name": served.name,
        "version": served.version,
        "models": names if len(names) > 1 else [],
        "base": _facts.base_name(details),
        "examples": _facts.examples(details, task),
        "fields": [field.name for field in task.fields],
        "figures": _facts.figures(details),
        "labels": task.labels,
        "level": round(100 * confidence) if isinstance(confidence, float) else None,
        "max_length": runtime.max_length,
        "num_examples": held_out if isinstance(held_out, int) else None,
        "purpose": _facts.purpose(task),
        "runtime": runtime.name,
    }
