"""The JSON of explanations, as models for reading and as schemas for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunesmith.serving.limits import Limits
from tunesmith.serving.protocols._explanation import Explanation
from tunesmith.serving.protocols._native_schema import ModelName, request_body
from tunesmith.tasks import Task

__all__ = ["ExplainRequest", "ExplainResponse", "explain_body"]


class ExplainRequest(BaseModel):
    """What is to be explained; `Task.read` knows what a text may be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[Any] = Field(min_length=1)
    label: str | None = None
    model: str | None = None
    version: str | None = None


class ExplainResponse(BaseModel):
    """One explanation for each text, in the order of the texts."""

    explanations: list[Explanation]
    method: Literal["leave-one-out"]
    model: ModelName
    warnings: list[str] = Field(
        default_factory=list,
        description="Texts that are cut or explained by pieces; absent where there are none",
    )


def explain_body(task: Task, limits: Limits) -> dict[str, Any]:
    """The OpenAPI description of a request for this task, under these limits."""
    predict = request_body(task, limits)["content"]["application/json"]
    texts = predict["schema"]["properties"]["texts"]
    schema = {
        "type": "object",
        "required": ["texts"],
        "additionalProperties": False,
        "properties": {
            "texts": {
                **texts,
                "maxItems": limits.explained_texts,
                "description": "What to explain. A text may not be blank.",
            },
            "label": {
                "anyOf": [{"enum": list(task.labels)}, {"type": "null"}],
                "description": "The label to explain; without it each text's likeliest.",
            },
            "model": predict["schema"]["properties"]["model"],
            "version": predict["schema"]["properties"]["version"],
        },
    }
    content = {"schema": schema, "example": predict["example"]}
    return {"required": True, "content": {"application/json": content}}
