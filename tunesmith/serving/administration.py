"""The routes for those who decide which versions answer: what is wanted, and changes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from tunesmith.bundles import Registry, Traffic, is_url
from tunesmith.errors import InputError, OutputError
from tunesmith.serving.problems import responses
from tunesmith.serving.protocols._body import parsed, read_json
from tunesmith.serving.refusals import Refused

__all__ = ["router"]

_EXAMPLE = '{"version": "0f1b8ac7a1eb", "canary": 0.1}'


class Wish(BaseModel):
    """A version of the registry that is to answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str = Field(pattern=r"^[0-9a-f]{12}$")
    canary: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="It answers such a share of the requests; else all of them"
    )
    shadow: bool = Field(
        default=False, description="It is asked too, and its answers are thrown away"
    )
    other_task: bool = Field(
        default=False, description="It may read other columns, or lack labels that clients know"
    )


class Deployed(BaseModel):
    """What is wanted of a model, and what the server made of it."""

    name: str
    wanted: dict[str, Any] | None
    serving: dict[str, Any] | None
    fault: str
    versions: list[str]


def router(registry: Registry) -> APIRouter:
    """The routes of a server that follows `registry`."""
    routes = APIRouter(tags=["deployments"], prefix="/v1/deployments")
    changing = partial(routes.post, status_code=202, response_model=Deployed)

    @routes.get("", summary="All models", response_model=list[Deployed])
    async def every() -> Response:
        """What is wanted of each model, and what answers."""
        found = await asyncio.to_thread(
            lambda: [_described_or_why_not(registry, name) for name in _names(registry)]
        )
        return Response(to_json(found), media_type="application/json")

    @routes.get("/{name}", summary="A model", response_model=Deployed, responses=responses(404))
    async def one(name: str) -> Response:
        """What is wanted of a model, and what answers; `fault`: why a change was not followed."""
        return await _answer(registry, name, None)

    @changing(
        "/{name}",
        summary="Deploy",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": Wish.model_json_schema()}},
            }
        },
        responses=responses(400, 404, 413, 415, 422),
    )
    async def deploy(name: str, request: Request) -> Response:
        """Wants a version that is in the registry; the server follows within a second."""
        wish = parsed(await read_json(request), Wish, _EXAMPLE, {})
        if wish.canary is not None and wish.shadow:
            raise Refused("invalid_request", "canary and shadow are two ways to try it")
        return await _answer(
            registry,
            name,
            lambda: registry.deploy(
                name,
                wish.version,
                share=wish.canary,
                shadow=wish.shadow,
                allow_other_task=wish.other_task,
            ),
        )

    @changing("/{name}/promote", summary="Promote", responses=responses(404, 422))
    async def promote(name: str) -> Response:
        """Wants the version that is tried to answer all requests."""
        return await _answer(registry, name, lambda: registry.promote(name))

    @changing("/{name}/roll-back", summary="Roll back", responses=responses(404, 422))
    async def roll_back(name: str) -> Response:
        """Ends a trial; where there is none, wants the version before."""
        return await _answer(registry, name, lambda: registry.roll_back(name))

    return routes


async def _answer(registry: Registry, name: str, change: Callable[[], Traffic] | None) -> Response:
    """Makes a change, if there is one, and says what is wanted now."""
    found = await asyncio.to_thread(_changed, registry, name, change)
    status = 200 if change is None else 202
    return Response(to_json(found), status, media_type="application/json")


def _changed(
    registry: Registry, name: str, change: Callable[[], Traffic] | None
) -> dict[str, object]:
    if name not in _names(registry):
        raise Refused("not_found", "there is no such model", mend="GET /v1/deployments lists all")
    if change is not None and is_url(str(registry)):
        raise Refused(
            "invalid_request",
            "a registry in a bucket is followed, and changed where it is made",
            mend="tunesmith deploy in its folder, then copy it into the bucket",
        )
    try:
        if change is not None:
            change()
        return _described(registry, name)
    except OutputError:
        raise  # the disk's fault, not the client's
    except InputError as error:
        fault = error.faults[0]
        raise Refused("invalid_request", fault.what, mend=fault.mend) from error


def _names(registry: Registry) -> list[str]:
    """The models that are here; into a bucket only the thread that follows it looks."""
    return Registry.names(registry)


def _described(registry: Registry, name: str) -> dict[str, object]:
    return {"name": name, **registry.described(name)}


def _described_or_why_not(registry: Registry, name: str) -> dict[str, object]:
    """One model's file that was spoilt by hand hides none of the others."""
    try:
        return _described(registry, name)
    except InputError as error:
        nothing = {"wanted": None, "serving": None, "versions": registry.versions(name)}
        return {"name": name, **nothing, "fault": error.faults[0].what}
