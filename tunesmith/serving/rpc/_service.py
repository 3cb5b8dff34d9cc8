"""The Open Inference Protocol, version 2, over gRPC; and gRPC's own health check.

The messages come from `open-inference-grpc`, which the protocol's working group publishes. What a
tensor means is what it means over REST (`serving/protocols/_tensors.py`).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from open_inference.grpc import protocol

from tunesmith.serving.catalogue import Catalogue, Served
from tunesmith.serving.protocols._open_inference_schema import (
    InferenceRequest,
    RequestInput,
    RequestOutput,
    ResponseOutput,
)
from tunesmith.serving.protocols._tensors import (
    binary_texts,
    check_outputs,
    inputs_of,
    outputs_of,
    read_tensors,
    tensor_metadata,
)
from tunesmith.serving.refusals import Refused
from tunesmith.serving.rpc._calls import Handle, Method

__all__ = ["methods"]

_SERVICE = "/inference.GRPCInferenceService/"
_HEALTH = "/grpc.health.v1.Health/Check"
# A `HealthCheckResponse` whose only field, `status`, is SERVING or NOT_SERVING.
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"


def methods(catalogue: Catalogue) -> Mapping[str, Method]:
    """Every method by its full name."""
    service = _Service(catalogue)
    handled: tuple[tuple[str, Handle, bool], ...] = (
        ("ServerLive", service.server_live, True),
        ("ServerReady", service.server_ready, True),
        ("ServerMetadata", service.server_metadata, False),
        ("ModelReady", service.model_ready, False),
        ("ModelMetadata", service.model_metadata, False),
        ("ModelInfer", service.model_infer, False),
    )
    return {
        _HEALTH: Method(service.health, bytes, bytes, open=True),
        **{
            f"{_SERVICE}{name}": Method(
                handle,
                getattr(protocol, f"{name}Request").FromString,
                getattr(protocol, f"{name}Response").SerializeToString,
                open=is_open,
            )
            for name, handle, is_open in handled
        },
    }


class _Service:
    """The methods, each from a request's message to the answer's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def health(self, _: bytes) -> bytes:
        return _SERVING if self._catalogue.ready else _NOT_SERVING

    async def server_live(self, _: Any) -> Any:
        return protocol.ServerLiveResponse(live=True)

    async def server_ready(self, _: Any) -> Any:
        return protocol.ServerReadyResponse(ready=self._catalogue.ready)

    async def server_metadata(self, _: Any) -> Any:
        version = importlib.metadata.version("tunesmith")
        return protocol.ServerMetadataResponse(name="tunesmith", version=version)

    async def model_ready(self, asked: Any) -> Any:
        ready = self._found(asked.name, asked.version).plane.ready
        return protocol.ModelReadyResponse(ready=ready)

    async def model_metadata(self, asked: Any) -> Any:
        served = self._found(asked.name, asked.version)
        inputs, outputs = tensor_metadata(served.plane.task)
        kind = protocol.ModelMetadataResponse.TensorMetadata
        return protocol.ModelMetadataResponse(
            name=served.name,
            versions=[own.version for own in self._catalogue.all() if own.name == served.name],
            platform=f"tunesmith_{served.plane.runtime.name}",
            inputs=[kind(**one.model_dump()) for one in inputs],
            outputs=[kind(**one.model_dump()) for one in outputs],
        )

    async def model_infer(self, asked: Any) -> Any:
        request, binary = _request(asked)
        served = self._found(asked.model_name, asked.model_version)
        task = served.plane.task
        wanted = None if request.outputs is None else [one.name for one in request.outputs]
        check_outputs(task, wanted)
        answers = await served.predict(
            inputs_of(task, read_tensors(request, binary)), place="inputs"
        )
        outputs = outputs_of(task, answers, wanted)
        raw = bool(asked.raw_input_contents)  # whoever sends bytes reads bytes
        return protocol.ModelInferResponse(
            model_name=served.name,
            model_version=served.version,
            id=asked.id,
            outputs=[_output(one, raw) for one in outputs],
            raw_output_contents=[_raw(one) for one in outputs] if raw else [],
        )

    def _found(self, name: str, version: str) -> Served:
        return self._catalogue.find(name or None, version or None)


def _request(asked: Any) -> tuple[InferenceRequest, bytes]:
    """The message as the REST protocol has it, with the bytes that would follow its JSON."""
    if not asked.inputs:
        raise Refused("invalid_request", "is empty", where="inputs", mend="give one tensor a field")
    raw = list(asked.raw_input_contents)
    if raw and len(raw) != len(asked.inputs):
        raise Refused(
            "invalid_request",
            f"has {len(raw):,} parts for {len(asked.inputs):,} inputs",
            where="raw_input_contents",
            mend="give one part for each input, or none at all",
        )
    inputs = []
    for place, one in enumerate(asked.inputs):
        shared: dict[str, Any] = {
            "name": one.name,
            "shape": list(one.shape),
            "datatype": one.datatype,
        }
        if raw:
            shared["parameters"] = {"binary_data_size": len(raw[place])}
        else:
            shared["data"] = _texts(one, f"inputs[{place}]")
        inputs.append(RequestInput(**shared))
    outputs = [RequestOutput(name=one.name) for one in asked.outputs] or None
    return InferenceRequest(id=asked.id, inputs=inputs, outputs=outputs), b"".join(raw)


def _texts(tensor: Any, where: str) -> list[str]:
    try:
        return [value.decode() for value in tensor.contents.bytes_contents]
    except UnicodeDecodeError as error:
        raise Refused(
            "invalid_request", "holds a text that is not UTF-8", where=where, mend="give UTF-8"
        ) from error


def _output(one: ResponseOutput, raw: bool) -> Any:
    """A tensor of the answer; `raw`: its values stand elsewhere."""
    contents: dict[str, list[Any]] = {}
    if not raw and one.datatype == "BYTES":
        contents = {"bytes_contents": [str(value).encode() for value in one.data]}
    elif not raw:
        contents = {f"{one.datatype.lower()}_contents": one.data}
    told = {
        name: protocol.InferParameter(string_param=str(value))
        for name, value in (one.parameters or {}).items()
    }
    return protocol.ModelInferResponse.InferOutputTensor(
        name=one.name,
        datatype=one.datatype,
        shape=one.shape,
        parameters=told,
        contents=protocol.InferTensorContents(**contents) if contents else None,
    )


def _raw(one: ResponseOutput) -> bytes:
    import numpy as np

    if one.datatype == "BYTES":
        return binary_texts([str(value) for value in one.data])
    kind = "<f4" if one.datatype == "FP32" else "?"
    return np.array(one.data, dtype=kind).tobytes()
