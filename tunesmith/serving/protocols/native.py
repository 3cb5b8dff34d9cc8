"""Tunesmith's own protocol: POST /v1/predict."""

from __future__ import annotations

import asyncio
from email.message import Message

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from pydantic_core import to_json

from tunesmith.serving.data_plane import Answers, DataPlane
from tunesmith.serving.problems import responses
from tunesmith.serving.protocols._native_schema import (
    PredictRequest,
    request_body,
    response_model,
)
from tunesmith.serving.refusals import Refused

__all__ = ["router"]

_FAULTS = {
    "bool_type": "must be true or false",
    "extra_forbidden": "is not known here",
    "float_type": "must be a number",
    "greater_than_equal": "must be at least 1",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be a JSON object",
    "too_short": "is empty",
}


def router(plane: DataPlane, *, name: str) -> APIRouter:
    """The routes of this protocol.

    Args:
        plane: what answers.
        name: the model's name, as clients should see it.
    """
    routes = APIRouter(tags=["predictions"])
    model = {"name": name, "version": plane.runtime.version}

    @routes.post(
        "/v1/predict",
        summary="Predict",
        operation_id="predict",
        response_model=response_model(plane.task),
        response_model_exclude_unset=True,
        openapi_extra={"requestBody": request_body(plane.task, plane.limits)},
        responses=responses(400, 403, 408, 413, 415, 422, 503),
    )
    async def predict(request: Request) -> Response:
        """Answers a list of texts, in their order."""
        asked = _parsed(await _body(request, plane.limits.timeout_s))
        answers = await plane.predict(
            asked.texts, top_k=asked.top_k, wanted=asked.wanted, abandoned=request.is_disconnected
        )
        return _response(answers, model, plane.runtime.max_length)

    return routes


async def _body(request: Request, timeout_s: float) -> bytes:
    _check_media_type(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(
            "unsupported_encoding",
            "compressed bodies are not read",
            mend="send the JSON as it is, without Content-Encoding",
        )
    try:
        async with asyncio.timeout(timeout_s):
            return await request.body()
    except TimeoutError as error:
        raise Refused("body_too_slow", f"no whole body within {timeout_s:g} s") from error


def _check_media_type(header: str) -> None:
    message = Message()
    message["content-type"] = header
    charset = message.get_content_charset("utf-8")
    if message.get_content_type() != "application/json" or charset not in {"utf-8", "us-ascii"}:
        raise Refused(
            "unsupported_media_type",
            "the body must be JSON in UTF-8",
            mend="send the header Content-Type: application/json",
        )


def _parsed(body: bytes) -> PredictRequest:
    # Pydantic's parser bounds nesting, refuses lone surrogates and never raises anything else.
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Refused("not_json", first["msg"], mend='send {"texts": ["…"]} in UTF-8') from None
        raise Refused(
            "invalid_request",
            _FAULTS.get(first["type"], first["msg"]),
            where=".".join(str(part) for part in first["loc"]) or "body",
            mend='send {"texts": ["…"]}; GET /docs shows more',
        ) from None


def _response(answers: Answers, model: dict[str, str], max_length: int) -> Response:
    content: dict[str, object] = {
        "predictions": [prediction.as_dict() for prediction in answers.predictions],
        "model": model,
    }
    if answers.cut:
        content["warnings"] = [
            f"texts[{index}]: {count:,} tokens, only the first {max_length:,} were read"
            for index, count in answers.cut.items()
        ]
    queue_ms, inference_ms = answers.queue_s * 1e3, answers.inference_s * 1e3
    timing = f"queue;dur={queue_ms:.1f}, inference;dur={inference_ms:.1f}"
    return Response(
        to_json(content), media_type="application/json", headers={"server-timing": timing}
    )
