"""Tunesmith's own protocol: POST /v1/predict."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served, find_named
from tunesmith.serving.data_plane import Answers
from tunesmith.serving.explaining import ExplainedInputs
from tunesmith.serving.problems import responses
from tunesmith.serving.protocols._body import parsed, read_json
from tunesmith.serving.protocols._explanation import cut_warnings, explanation, piece_warnings
from tunesmith.serving.protocols._native_schema import (
    PredictRequest,
    request_body,
    response_model,
)
from tunesmith.serving.security import require

__all__ = ["router"]

_EXAMPLE = '{"texts": ["…"]}'


def router(catalogue: Catalogue) -> APIRouter:
    """The routes of this protocol."""
    routes = APIRouter(tags=["predictions"])
    task, limits = catalogue.task, catalogue.limits

    @routes.post(
        "/v1/predict",
        summary="Predict",
        operation_id="predict",
        response_model=response_model(task),
        response_model_exclude_unset=True,
        openapi_extra={"requestBody": request_body(task, limits)},
        responses=responses(400, 403, 404, 408, 413, 415, 422, 503),
    )
    async def predict(request: Request) -> Response:
        """Answers a list of texts, in their order."""
        body = await read_json(request)
        asked = parsed(body, PredictRequest, _EXAMPLE, {})
        served = find_named(catalogue, asked.model, asked.version)
        gone = request.is_disconnected
        if asked.explain:
            require(request.scope, "explain")
            answers, explained = await served.predict_explained(
                asked.texts, top_k=asked.top_k, wanted=asked.wanted, abandoned=gone
            )
            return _response(answers, served, explained)
        answers = await served.predict(
            asked.texts, top_k=asked.top_k, wanted=asked.wanted, abandoned=gone
        )
        return _response(answers, served)

    return routes


def _response(
    answers: Answers, served: Served, explained: Sequence[ExplainedInputs] = ()
) -> Response:
    plane = served.plane
    predictions = [prediction.as_dict() for prediction in answers.predictions]
    if explained:
        predictions = [
            {**prediction, "explanation": explanation(one, plane.task)}
            for prediction, one in zip(predictions, explained, strict=True)
        ]
    content: dict[str, object] = {
        "predictions": predictions,
        "model": {"name": served.name, "version": served.version},
    }
    cut = cut_warnings(answers.cut.items(), plane.runtime.max_length)
    if warnings := [*cut, *piece_warnings(explained)]:
        content["warnings"] = warnings
    return Response(to_json(content), media_type="application/json")
