"""The JSON of Hugging Face's Text Embeddings Inference, as far as it concerns classification."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TeiError", "TeiInfo", "TeiPrediction", "TeiRequest"]


class TeiRequest(BaseModel):
    """A request of `/predict`."""

    model_config = ConfigDict(strict=True)

    inputs: str | list[str] | list[list[str]] = Field(
        description="One text; a pair as a list of two; or a batch, a list of lists of one or two"
    )
    raw_scores: bool = Field(False, description="Give the model's scores, not probabilities")
    truncate: bool | None = Field(
        None, description="false: refuse what is longer than the model reads, instead of cutting it"
    )
    truncation_direction: Literal["Right", "right"] = "Right"


class TeiPrediction(BaseModel):
    """A label's probability, or its score."""

    score: float
    label: str


class TeiInfo(BaseModel):
    """What is served, in the words of that protocol."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: dict[str, Any]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str


class TeiError(BaseModel):
    """An error, in the words of that protocol."""

    error: str
    error_type: Literal["Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer"]
