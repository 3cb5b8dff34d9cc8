"""OpenAI's JSON, as models for reading and as schemas for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunesmith.serving.limits import Limits

__all__ = [
    "EmbeddingRequest",
    "EmbeddingResponse",
    "OpenAiError",
    "OpenAiModel",
    "OpenAiModels",
    "embeddings_body",
]


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


class EmbeddingRequest(BaseModel):
    """What is to become vectors; `user` is read by nobody here."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: str | list[Any]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class Embedding(BaseModel):
    """A text's vector."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(ge=0, description="The text's place in the request")
    embedding: list[float] | str = Field(
        description="Of length 1; as base64 float32 values, little-endian"
    )


class EmbeddingUsage(BaseModel):
    """What was read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """One vector for each text, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str = Field(description="Who answered, NAME@VERSION")
    usage: EmbeddingUsage


def embeddings_body(limits: Limits) -> dict[str, Any]:
    """The OpenAPI description of a request for embeddings, under these limits."""
    text = {"type": "string", "minLength": 1, "maxLength": limits.max_characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": limits.max_texts}
    null = {"type": "null"}
    schema = {
        "type": "object",
        "required": ["input"],
        "additionalProperties": False,
        "properties": {
            "input": {"anyOf": [text, texts], "description": "A text may not be blank."},
            "model": {
                "anyOf": [{"type": "string"}, null],
                "description": "NAME, or NAME@VERSION: vectors of two versions do not compare. "
                "Where there is one model it may be left out.",
            },
            "encoding_format": {"enum": ["float", "base64", None]},
            "dimensions": {
                "anyOf": [{"type": "integer"}, null],
                "description": "No other than the model's own number.",
            },
            "user": {"anyOf": [{"type": "string"}, null]},
        },
    }
    example = {"input": ["What the model should read"]}
    content = {"schema": schema, "example": example}
    return {"required": True, "content": {"application/json": content}}
