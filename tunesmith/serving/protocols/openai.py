"""OpenAI's protocol, as far as it fits an encoder: its list of models, and `POST /v1/embeddings`.

Its clients work unchanged; see https://platform.openai.com/docs/api-reference/embeddings. As there,
a text that is longer than the model reads is refused rather than cut.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served, find_named
from tunesmith.serving.data_plane import Embeddings
from tunesmith.serving.problems import Respelled
from tunesmith.serving.protocols._body import parsed, read_json
from tunesmith.serving.protocols._openai_schema import (
    EmbeddingRequest,
    EmbeddingResponse,
    OpenAiError,
    OpenAiModel,
    OpenAiModels,
    embeddings_body,
)
from tunesmith.serving.refusals import Code, Refused

__all__ = ["router"]

_EXAMPLE = '{"model": "NAME", "input": ["…"]}'
_WORDS = {"literal_error": "must be float or base64", "string_type": "must be text"}

_TYPES: Mapping[Code, str] = {
    "insufficient_scope": "permission_error",
    "internal": "server_error",
    "not_ready": "server_error",
    "overloaded": "server_error",
    "quota_exceeded": "rate_limit_error",
    "timed_out": "server_error",
    "too_many_failures": "rate_limit_error",
    "unauthorized": "authentication_error",
}


def _spelled(code: Code, message: str) -> dict[str, Any]:
    kind = _TYPES.get(code, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def router(catalogue: Catalogue) -> APIRouter:
    """The routes of this protocol."""
    spelled = Respelled(_spelled, OpenAiError)
    routes = APIRouter(tags=["OpenAI"], route_class=spelled.route_class)

    @routes.post(
        "/v1/embeddings",
        summary="Embeddings",
        operation_id="openai_embeddings",
        response_model=EmbeddingResponse,
        openapi_extra={"requestBody": embeddings_body(catalogue.limits)},
        responses=spelled.responses(400, 403, 404, 408, 413, 415, 422, 503),
    )
    async def embeddings(request: Request) -> Response:
        """A vector of length 1 for each text: the pooled states of the encoder that classifies."""
        body = await read_json(request)
        asked = parsed(body, EmbeddingRequest, _EXAMPLE, _WORDS)
        served = find_named(catalogue, asked.model)  # vectors of two versions do not compare
        _check_dimensions(asked, served)
        found = await served.plane.embed(
            _texts(asked), place="input", abandoned=request.is_disconnected
        )
        return _response(found, served, as_base64=asked.encoding_format == "base64")

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
        return _described(find_named(catalogue, name))

    return routes


def _described(served: Served) -> OpenAiModel:
    created = served.details.get("created")
    moment = datetime.fromisoformat(created).timestamp() if isinstance(created, str) else 0
    return OpenAiModel(id=served.name, created=int(moment))


def _check_dimensions(asked: EmbeddingRequest, served: Served) -> None:
    size = served.plane.runtime.embedding_size
    if size is not None and asked.dimensions not in (None, size):
        raise Refused(
            "invalid_request",
            f"the model's vectors have {size:,} values, and cannot be made shorter",
            where="dimensions",
            mend=f"leave it out, or ask for {size}",
        )


def _texts(asked: EmbeddingRequest) -> list[Any]:
    items = [asked.input] if isinstance(asked.input, str) else asked.input
    if any(not isinstance(item, str) for item in items):
        raise Refused(
            "invalid_request",
            "must be a text or a list of texts; token ids are those of another model",
            where="input",
            mend="send text (in LangChain: check_embedding_ctx_length=False)",
        )
    return items


def _response(found: Embeddings, served: Served, *, as_base64: bool) -> Response:
    spell = _as_base64 if as_base64 else _as_list
    content = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": spell(vector)}
            for index, vector in enumerate(found.vectors)
        ],
        "model": f"{served.name}@{served.version}",
        "usage": {"prompt_tokens": found.num_tokens, "total_tokens": found.num_tokens},
    }
    return Response(to_json(content), media_type="application/json")


def _as_list(vector: NDArray[np.float32]) -> list[float]:
    values: list[float] = vector.tolist()
    return values


def _as_base64(vector: NDArray[np.float32]) -> str:
    """The values as float32 in little-endian order, as the protocol has them."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
