"""What OpenAI's clients ask first: which models there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from tunesmith.serving.catalogue import Catalogue, Served
from tunesmith.serving.problems import Respelled
from tunesmith.serving.refusals import Code

__all__ = ["router"]


class OpenAiModel(BaseModel):
    """A model, in the words of that protocol."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["tunesmith"] = "tunesmith"


class OpenAiModels(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[OpenAiModel]


class OpenAiFault(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: None = None
    code: str


class OpenAiError(BaseModel):
    """An error, in the words of that protocol."""

    error: OpenAiFault


_TYPES: Mapping[Code, str] = {
    "internal": "server_error",
    "not_ready": "server_error",
    "overloaded": "server_error",
    "timed_out": "server_error",
}


def _spelled(code: Code, message: str) -> dict[str, Any]:
    kind = _TYPES.get(code, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def router(catalogue: Catalogue) -> APIRouter:
    """The routes of this protocol."""
    spelled = Respelled(_spelled, OpenAiError)
    routes = APIRouter(tags=["OpenAI"], route_class=spelled.route_class)

    @routes.get("/v1/models", summary="All models", response_model=OpenAiModels)
    async def models() -> OpenAiModels:
        """The models that can be asked."""
        names = {served.name: served for served in reversed(catalogue.all())}
        return OpenAiModels(data=[_described(served) for served in names.values()])

    @routes.get(
        "/v1/models/{name}",
        summary="One model",
        response_model=OpenAiModel,
        responses=spelled.responses(404, 422),
    )
    async def model(name: str) -> OpenAiModel:
        """One of the models."""
        return _described(catalogue.find(name))

    return routes


def _described(served: Served) -> OpenAiModel:
    created = served.details.get("created")
    moment = datetime.fromisoformat(created).timestamp() if isinstance(created, str) else 0
    return OpenAiModel(id=served.name, created=int(moment))
