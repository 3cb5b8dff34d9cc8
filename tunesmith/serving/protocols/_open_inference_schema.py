"""The JSON of the Open Inference Protocol, version 2."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Alive",
    "InferenceRequest",
    "InferenceResponse",
    "ModelMetadata",
    "ModelReady",
    "OpenInferenceError",
    "RequestInput",
    "ResponseOutput",
    "ServerMetadata",
    "TensorMetadata",
]

Parameters = dict[str, str | int | float | bool]


class RequestInput(BaseModel):
    """One input tensor; `data` is absent where it follows the JSON as bytes."""

    model_config = ConfigDict(strict=True)

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters = Field(default_factory=dict)
    data: list[Any] | None = None


class RequestOutput(BaseModel):
    """An output that is asked for."""

    name: str
    parameters: Parameters = Field(default_factory=dict)


class InferenceRequest(BaseModel):
    """A request of `infer`."""

    model_config = ConfigDict(strict=True, protected_namespaces=())

    id: str | None = None
    parameters: Parameters = Field(default_factory=dict)
    inputs: list[RequestInput] = Field(min_length=1)
    outputs: list[RequestOutput] | None = None


class ResponseOutput(BaseModel):
    """One output tensor, in row order."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any]


class InferenceResponse(BaseModel):
    """The answer of `infer`."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseOutput]


class TensorMetadata(BaseModel):
    """A tensor's name and kind; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """What a model reads and gives; `parameters.labels` is the labels as a JSON list."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: Parameters


class ModelReady(BaseModel):
    """Whether a model can be asked."""

    name: str
    ready: bool


class Alive(BaseModel):
    """That the server answers, or that its models are ready."""

    live: bool


class ServerMetadata(BaseModel):
    """Which server this is."""

    name: str
    version: str
    extensions: list[str]


class OpenInferenceError(BaseModel):
    """An error, in the words of that protocol."""

    error: str
