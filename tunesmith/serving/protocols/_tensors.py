"""Texts and probabilities as tensors of the Open Inference Protocol."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from tunesmith.serving.data_plane import Answers
from tunesmith.serving.protocols._open_inference_schema import (
    InferenceRequest,
    RequestInput,
    ResponseOutput,
    TensorMetadata,
)
from tunesmith.serving.refusals import Refused
from tunesmith.tasks import MultiLabelClassification, Task

__all__ = ["binary_texts", "inputs_of", "outputs_of", "read_tensors", "tensor_metadata"]


def tensor_metadata(task: Task) -> tuple[list[TensorMetadata], list[TensorMetadata]]:
    """What a task reads and gives, in any number of rows."""
    inputs = [
        TensorMetadata(name=field.name, datatype="BYTES", shape=[-1]) for field in task.fields
    ]
    size = len(task.labels)
    shared = TensorMetadata(name="probabilities", datatype="FP32", shape=[-1, size])
    if isinstance(task, MultiLabelClassification):
        return inputs, [TensorMetadata(name="chosen", datatype="BOOL", shape=[-1, size]), shared]
    label = TensorMetadata(name="label", datatype="BYTES", shape=[-1])
    probability = TensorMetadata(name="probability", datatype="FP32", shape=[-1])
    return inputs, [label, probability, shared]


def read_tensors(request: InferenceRequest, binary: bytes) -> dict[str, list[str]]:
    """Each input's texts by its name; `binary` is what follows the JSON of the request.

    Raises:
        Refused: a tensor holds no texts, or not as many as its shape says.
    """
    found: dict[str, list[str]] = {}
    for place, tensor in enumerate(request.inputs):
        where = f"inputs[{place}]"
        if tensor.datatype != "BYTES":
            raise _wrong(where, f"is {tensor.datatype}, and the model reads texts", '"BYTES"')
        if tensor.data is None:
            texts, binary = _from_binary(tensor, binary, where)
        else:
            texts = list(_flat(tensor.data, where))
        if any(size < 0 for size in tensor.shape) or math.prod(tensor.shape) != len(texts):
            raise _wrong(where, f"has the shape {tensor.shape} and {len(texts):,} texts", "[n]")
        found[tensor.name] = texts
    if binary:
        raise _wrong("inputs", f"{len(binary):,} bytes belong to no tensor", "binary_data_size")
    return found


def _flat(data: Sequence[object], where: str) -> Iterator[str]:
    for value in data:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            yield value[0]
        else:
            raise _wrong(where, "holds something else than texts", '["…", "…"]')


def _from_binary(tensor: RequestInput, binary: bytes, where: str) -> tuple[list[str], bytes]:
    """Texts of the binary tensor extension: each after its length, four bytes, little-endian."""
    size = tensor.parameters.get("binary_data_size")
    if not isinstance(size, int) or not 0 <= size <= len(binary):
        raise _wrong(where, "has no data", '"data": ["…"]')
    own, rest = binary[:size], binary[size:]
    texts = []
    while own:
        if len(own) < 4 or len(own) < 4 + (length := struct.unpack_from("<I", own)[0]):
            raise _wrong(where, "its bytes end too early", "each text after its length")
        try:
            texts.append(own[4 : 4 + length].decode())
        except UnicodeDecodeError as error:
            raise _wrong(where, "holds a text that is not UTF-8", "UTF-8") from error
        own = own[4 + length :]
    return texts, rest


def binary_texts(texts: Sequence[str]) -> bytes:
    """Texts as the binary tensor extension has them; see `_from_binary`."""
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)


def inputs_of(task: Task, tensors: dict[str, list[str]]) -> list[object]:
    """The rows of the tensors, each as the task reads it.

    A single tensor is taken by whatever name where the task reads one text.

    Raises:
        Refused: a field has no tensor, or the tensors differ in length.
    """
    names = [field.name for field in task.fields]
    if len(names) == 1 and len(tensors) == 1:
        return list(next(iter(tensors.values())))
    wanted = ", ".join(names)
    if set(tensors) != set(names):
        raise _wrong("inputs", f"are {', '.join(tensors)}, and the model reads {wanted}", wanted)
    columns = [tensors[name] for name in names]
    if len({len(column) for column in columns}) > 1:
        raise _wrong("inputs", "have different numbers of rows", "one row of each to a row")
    return [list(row) for row in zip(*columns, strict=True)]


def check_outputs(task: Task, wanted: Sequence[str] | None) -> None:
    """Whether the model has what is wanted; asked before it costs anything.

    Raises:
        Refused: it has no such output.
    """
    _, known = tensor_metadata(task)
    names = [one.name for one in known]
    for name in wanted or ():
        if name not in names:
            raise _wrong("outputs", f"has no {name!r}", ", ".join(names))


def outputs_of(task: Task, answers: Answers, wanted: Sequence[str] | None) -> list[ResponseOutput]:
    """The answers as tensors; `wanted` names those that are given, None gives all."""
    _, known = tensor_metadata(task)
    return [
        ResponseOutput(
            name=one.name,
            datatype=one.datatype,
            shape=[len(answers.predictions), *one.shape[1:]],
            parameters={"labels": json.dumps(task.labels)} if len(one.shape) == 2 else None,
            data=_data(one.name, task, answers),
        )
        for one in known
        if wanted is None or one.name in wanted
    ]


def _data(name: str, task: Task, answers: Answers) -> list[object]:
    rows = answers.predictions
    if name == "label":
        return [row.label for row in rows]  # type: ignore[union-attr]
    if name == "probability":
        return [row.probability for row in rows]  # type: ignore[union-attr]
    if name == "chosen":
        return [label in row.labels for row in rows for label in task.labels]  # type: ignore[union-attr]
    table = np.array([[row.probabilities[label] for label in task.labels] for row in rows])
    values: list[object] = table.ravel().tolist()
    return values


def _wrong(where: str, what: str, mend: str) -> Refused:
    return Refused("invalid_request", what, where=where, mend=f"give {mend}")
