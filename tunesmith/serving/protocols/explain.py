"""Why the model answers as it does: POST /v1/explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served
from tunesmith.serving.explaining import ExplainedInputs, explain
from tunesmith.serving.problems import responses
from tunesmith.serving.protocols._body import parsed, read_json
from tunesmith.serving.protocols._explain_schema import (
    ExplainRequest,
    ExplainResponse,
    explain_body,
)

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
        body = await read_json(request, catalogue.limits.timeout_s)
        asked = parsed(body, ExplainRequest, _EXAMPLE, _WORDS)
        served = catalogue.find(asked.model, asked.version)
        found = await explain(
            served.plane, asked.texts, label=asked.label, abandoned=request.is_disconnected
        )
        return Response(to_json(_content(found, served)), media_type="application/json")

    return routes


def _content(found: Sequence[ExplainedInputs], served: Served) -> dict[str, object]:
    fields = [field.name for field in served.plane.task.fields]
    content: dict[str, object] = {
        "explanations": [_explanation(one, fields) for one in found],
        "method": "leave-one-out",
        "model": {"name": served.name, "version": served.version},
    }
    warnings = list(_warnings(found, served.plane.runtime.max_length))
    return {**content, "warnings": warnings} if warnings else content


def _explanation(one: ExplainedInputs, fields: Sequence[str]) -> dict[str, object]:
    return {
        "label": one.label,
        "probability": one.probability,
        "log_odds": one.log_odds,
        "words": [
            {
                "field": fields[word.field],
                "text": str(one.inputs[word.field])[word.start : word.end],
                "start": word.start,
                "end": word.end,
                "attribution": value,
            }
            for word, value in zip(one.pieces, one.attributions, strict=True)
        ],
    }


def _warnings(found: Sequence[ExplainedInputs], max_length: int) -> Iterator[str]:
    for index, one in enumerate(found):
        where = f"texts[{index}]"
        if one.num_tokens > max_length:
            yield f"{where}: {one.num_tokens:,} tokens, only the first {max_length:,} were read"
        if one.words_a_piece > 1:
            yield f"{where}: of so many words, {one.words_a_piece} at a time are taken together"
