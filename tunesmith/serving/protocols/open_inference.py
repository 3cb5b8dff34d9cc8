"""The Open Inference Protocol, version 2, over REST: what KServe, Triton and MLServer speak.

See https://github.com/kserve/open-inference-protocol. Texts come as a BYTES tensor for each field
of the task; probabilities go out as an FP32 tensor, labels as BYTES. Texts may also come by the
binary tensor extension, which Triton's client uses.
"""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import to_json

from tunesmith.serving.catalogue import Catalogue, Served
from tunesmith.serving.problems import Respelled
from tunesmith.serving.protocols._body import media_type, parsed, read_body, read_json
from tunesmith.serving.protocols._open_inference_schema import (
    Alive,
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    ModelReady,
    OpenInferenceError,
    ServerMetadata,
)
from tunesmith.serving.protocols._tensors import (
    check_outputs,
    inputs_of,
    outputs_of,
    read_tensors,
    tensor_metadata,
)
from tunesmith.serving.refusals import Code, Overloaded, Refused
from tunesmith.tasks import Task

__all__ = ["router"]

_EXAMPLE = '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["…"]}]}'
_JSON_LENGTH = "inference-header-content-length"
_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"


def _spelled(_: Code, message: str) -> dict[str, Any]:
    return {"error": message}


def router(catalogue: Catalogue) -> APIRouter:
    """The routes of this protocol."""
    spelled = Respelled(_spelled, OpenInferenceError)
    routes = APIRouter(tags=["Open Inference Protocol"], route_class=spelled.route_class)
    _add_server_routes(routes, catalogue, spelled)
    for prefix in (_MODEL, _VERSION):
        _add_model_routes(routes, catalogue, spelled, prefix)
    return routes


def _add_server_routes(routes: APIRouter, catalogue: Catalogue, spelled: Respelled) -> None:
    @routes.get("/v2", summary="The server", response_model=ServerMetadata)
    async def server() -> ServerMetadata:
        """The server's name, version and extensions."""
        version = importlib.metadata.version("tunesmith")
        return ServerMetadata(name="tunesmith", version=version, extensions=["binary_tensor_data"])

    @routes.get("/v2/health/live", summary="Alive", response_model=Alive)
    async def live() -> Alive:
        """200 for as long as the process answers."""
        return Alive(live=True)

    @routes.get(
        "/v2/health/ready",
        summary="Ready",
        response_model=Alive,
        responses=spelled.responses(503),
    )
    async def ready() -> Alive:
        """200 once all models are warm."""
        if not all(served.plane.ready for served in catalogue.all()):
            raise Overloaded("not_ready", "a model is warming up", retry_after_s=1)
        return Alive(live=True)


def _add_model_routes(
    routes: APIRouter, catalogue: Catalogue, spelled: Respelled, prefix: str
) -> None:
    kind = "version" if "version" in prefix else "model"

    @routes.get(
        prefix,
        summary=f"A {kind}",
        operation_id=f"{kind}_metadata",
        response_model=ModelMetadata,
        responses=spelled.responses(404, 422),
    )
    async def metadata(name: str, request: Request) -> ModelMetadata:
        """What the model reads and gives."""
        return _metadata(_found(catalogue, name, request), catalogue)

    @routes.get(
        f"{prefix}/ready",
        summary=f"A {kind} is ready",
        operation_id=f"{kind}_ready",
        response_model=ModelReady,
        responses=spelled.responses(404, 422, 503),
    )
    async def ready(name: str, request: Request) -> ModelReady:
        """200 once the model is warm."""
        if not _found(catalogue, name, request).plane.ready:
            raise Overloaded("not_ready", "the model is warming up", retry_after_s=1)
        return ModelReady(name=name, ready=True)

    @routes.post(
        f"{prefix}/infer",
        summary=f"Predict with a {kind}",
        operation_id=f"{kind}_infer",
        response_model=InferenceResponse,
        openapi_extra={"requestBody": _request_body(catalogue.task)},
        responses=spelled.responses(400, 403, 404, 408, 413, 415, 422, 503),
    )
    async def infer(name: str, request: Request) -> Response:
        """Answers the rows of the input tensors, in their order."""
        body, binary = await _body(request)
        served = _found(catalogue, name, request)
        asked = parsed(body, InferenceRequest, _EXAMPLE, {})
        task = served.plane.task
        wanted = None if asked.outputs is None else [output.name for output in asked.outputs]
        check_outputs(task, wanted)
        items = inputs_of(task, read_tensors(asked, binary))
        answers = await served.predict(items, place="inputs", abandoned=request.is_disconnected)
        response = InferenceResponse(
            model_name=served.name,
            model_version=served.version,
            id=asked.id,
            outputs=outputs_of(task, answers, wanted),
        )
        return Response(to_json(response, exclude_none=True), media_type="application/json")


def _found(catalogue: Catalogue, name: str, request: Request) -> Served:
    return catalogue.find(name, request.path_params.get("version"))


async def _body(request: Request) -> tuple[bytes, bytes]:
    """The JSON, and the bytes of tensors that follow it."""
    length = request.headers.get(_JSON_LENGTH)
    if length is None:
        if media_type(request) == "application/octet-stream":
            return await read_body(request), b""
        return await read_json(request), b""
    body = await read_body(request)
    if not length.isascii() or not length.isdigit() or int(length) > len(body):
        raise Refused(
            "bad_content_length",
            "is not the length of the JSON in the body",
            where=_JSON_LENGTH,
            mend="send the number of bytes of the JSON that comes first",
        )
    return body[: int(length)], body[int(length) :]


def _metadata(served: Served, catalogue: Catalogue) -> ModelMetadata:
    inputs, outputs = tensor_metadata(served.plane.task)
    return ModelMetadata(
        name=served.name,
        versions=[one.version for one in catalogue.all() if one.name == served.name],
        platform=f"tunesmith_{served.plane.runtime.name}",
        inputs=inputs,
        outputs=outputs,
        parameters={"labels": json.dumps(served.plane.task.labels, ensure_ascii=False)},
    )


def _request_body(task: Task) -> dict[str, Any]:
    names = [field.name for field in task.fields]
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": ["What the model should read"]}
        for name in names
    ]
    schema = InferenceRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    plain = {"type": "object", "required": ["name", "shape", "datatype"]}
    schema["properties"]["inputs"]["items"] = plain
    schema["properties"]["outputs"] = {"type": "array", "items": {"type": "object"}}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": {"inputs": tensors}}},
    }
