"""Why the model answers as it does: POST /v1/explain."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served, find_named
from tunesmith.serving.explaining import ExplainedInputs, explain
from tunesmith.serving.problems import responses
from tunesmith.serving.protocols._body import parsed, read_json
from tunesmith.serving.protocols._explain_schema import (
    ExplainRequest,
    ExplainResponse,
    explain_body,
)
from tunesmith.serving.protocols._explanation import cut_warnings, explanation, piece_warnings

__all__ = ["router"]

_EXAMPLE = '{"texts": ["…"]}'
_WORDS = {"string_type": "must be text"}


def router(catalogue: Catalogue) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["predictions"])

    @routes.post(
        "/v1/explain",
        summary="Explain",
        operation_id="explain",
        response_model=ExplainResponse,
        response_model_exclude_unset=True,
        openapi_extra={"requestBody": explain_body(catalogue.task, catalogue.limits)},
        responses=responses(400, 403, 404, 408, 413, 415, 422, 503),
    )
    async def explained(request: Request) -> Response:
        """What each word adds to a label's log-odds: the model is asked without each in turn."""
        body = await read_json(request)
        asked = parsed(body, ExplainRequest, _EXAMPLE, _WORDS)
        served = find_named(catalogue, asked.model, asked.version)
        found = await explain(
            served.plane, asked.texts, label=asked.label, abandoned=request.is_disconnected
        )
        return Response(to_json(_content(found, served)), media_type="application/json")

    return routes


def _content(found: Sequence[ExplainedInputs], served: Served) -> dict[str, object]:
    plane = served.plane
    content: dict[str, object] = {
        "explanations": [explanation(one, plane.task) for one in found],
        "method": "leave-one-out",
        "model": {"name": served.name, "version": served.version},
    }
    longest = plane.runtime.max_length
    counts = [(index, one.num_tokens) for index, one in enumerate(found)]
    cut = [(index, count) for index, count in counts if count > longest]
    warnings = [*cut_warnings(cut, longest), *piece_warnings(found)]
    return {**content, "warnings": warnings} if warnings else content
