"""Hugging Face's Text Embeddings Inference: `POST /predict` and `GET /info`.

Its clients work unchanged where they classify; see the routes of the same names at
https://huggingface.github.io/text-embeddings-inference. A text that is longer than the model reads
is cut, as there with `--auto-truncate`.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served
from tunesmith.serving.data_plane import Answers
from tunesmith.serving.problems import Respelled
from tunesmith.serving.protocols._body import parsed, read_json
from tunesmith.serving.protocols._tei_schema import TeiError, TeiInfo, TeiPrediction, TeiRequest
from tunesmith.serving.refusals import Code, Refused

__all__ = ["router"]

_EXAMPLE = '{"inputs": "…"}'
_TYPES: Mapping[Code, str] = {
    "internal": "Backend",
    "not_ready": "Unhealthy",
    "overloaded": "Overloaded",
    "quota_exceeded": "Overloaded",
    "timed_out": "Overloaded",
    "too_many_connections": "Overloaded",
    "too_many_failures": "Overloaded",
}


def _spelled(code: Code, message: str) -> dict[str, Any]:
    return {"error": message, "error_type": _TYPES.get(code, "Validation")}


def router(catalogue: Catalogue) -> APIRouter:
    """The routes of this protocol."""
    spelled = Respelled(_spelled, TeiError)
    routes = APIRouter(tags=["Text Embeddings Inference"], route_class=spelled.route_class)

    @routes.post(
        "/predict",
        summary="Predict",
        operation_id="tei_predict",
        response_model=list[TeiPrediction] | list[list[TeiPrediction]],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": TeiRequest.model_json_schema(),
                        "example": {"inputs": "What the model should read"},
                    }
                },
            }
        },
        responses=spelled.responses(400, 403, 408, 413, 415, 422, 503),
    )
    async def predict(request: Request) -> Response:
        """Every label with its probability, the likeliest first: a list, or one for each input."""
        body = await read_json(request)
        asked = parsed(body, TeiRequest, _EXAMPLE, {})
        served = catalogue.find()
        items, is_batch = _items(asked, len(served.plane.task.fields))
        answers = await served.predict(
            items,
            place="inputs",
            cuts=asked.truncate is not False,
            abandoned=request.is_disconnected,
        )
        rows = _rows(served, answers, raw_scores=asked.raw_scores)
        return Response(to_json(rows if is_batch else rows[0]), media_type="application/json")

    @routes.get("/info", summary="What is served", response_model=TeiInfo)
    async def info() -> TeiInfo:
        """The model and the limits, as clients of this protocol ask for them."""
        return _info(catalogue.find())

    return routes


def _items(asked: TeiRequest, num_fields: int) -> tuple[list[object], bool]:
    """What to answer, each as the task reads it, and whether it was a batch."""
    if isinstance(asked.inputs, str):
        return [asked.inputs], False
    if not asked.inputs:
        raise Refused("invalid_request", "is empty", where="inputs", mend=f"send {_EXAMPLE}")
    if not isinstance(asked.inputs[0], str):
        return [*asked.inputs], True
    if num_fields == 1 and len(asked.inputs) > 1:
        raise Refused(
            "invalid_request",
            "a list of texts is one input of several parts, and the model reads one text",
            where="inputs",
            mend='for a batch send {"inputs": [["…"], ["…"]]}',
        )
    return [asked.inputs], False


def _rows(served: Served, answers: Answers, *, raw_scores: bool) -> list[list[dict[str, Any]]]:
    labels = served.plane.task.labels
    if raw_scores:
        values = answers.scores
    else:
        values = np.array(
            [[one.probabilities[label] for label in labels] for one in answers.predictions]
        )
    order = np.argsort(-values, axis=1, kind="stable")
    return [
        [{"score": float(row[place]), "label": labels[place]} for place in places]
        for row, places in zip(values, order, strict=True)
    ]


def _info(served: Served) -> TeiInfo:
    plane = served.plane
    labels = dict(enumerate(plane.task.labels))
    kinds = {"id2label": labels, "label2id": {label: place for place, label in labels.items()}}
    return TeiInfo(
        model_id=served.name,
        model_sha=served.version,
        model_dtype=plane.runtime.name,
        model_type={"classifier": kinds},
        max_concurrent_requests=plane.limits.max_queue,
        max_input_length=plane.runtime.max_length,
        max_batch_tokens=plane.limits.batch_tokens,
        max_batch_requests=plane.limits.batch_texts,
        max_client_batch_size=plane.limits.max_texts,
        auto_truncate=True,
        tokenization_workers=1,
        version=importlib.metadata.version("tunesmith"),
    )
