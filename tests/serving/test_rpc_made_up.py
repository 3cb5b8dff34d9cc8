"""Made-up calls by gRPC, from the protocol's messages and from any bytes: never a fault of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .hash_runtime import ASSURED, PAIRS, HashRuntime
from .made_up import Statuses, asked, counting
from .test_rpc import INFER, listening

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("open_inference.grpc", reason="open-inference-grpc is not installed")

from open_inference.grpc import protocol  # noqa: E402 - after the skip

pytestmark = pytest.mark.slow

SERVICE = "/inference.GRPCInferenceService/"
METHODS = ("ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer")
RIGHT = {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
INT_64 = st.integers(-(2**63), 2**63 - 1)

names = st.one_of(st.just("Tickets"), st.text(max_size=20))
columns = st.one_of(st.sampled_from(["text", "question", "answer"]), st.text(max_size=10))
words = st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=30))
packed = st.lists(words, max_size=4).map(
    lambda own: b"".join(len(one).to_bytes(4, "little") + one for one in own)
)
parameters = st.dictionaries(
    st.one_of(st.sampled_from(["top_k", "binary_data_size", "id"]), st.text(max_size=10)),
    st.one_of(
        st.builds(protocol.InferParameter, bool_param=st.booleans()),
        st.builds(protocol.InferParameter, int64_param=INT_64),
        st.builds(protocol.InferParameter, string_param=st.text(max_size=10)),
    ),
    max_size=2,
)
contents = st.builds(
    protocol.InferTensorContents,
    bytes_contents=st.lists(words, max_size=4),
    int64_contents=st.one_of(st.just([]), st.lists(INT_64, max_size=2)),
    fp32_contents=st.one_of(st.just([]), st.lists(st.floats(width=32), max_size=2)),
)
tensors = st.builds(
    protocol.ModelInferRequest.InferInputTensor,
    name=columns,
    datatype=st.one_of(st.just("BYTES"), st.sampled_from(["FP32", "INT64", "", "bytes"])),
    shape=st.lists(st.one_of(st.integers(0, 4), INT_64), max_size=3),
    contents=st.one_of(st.none(), contents),
    parameters=parameters,
)
# One text for each tensor, as a client would send it.
plain = st.lists(words.filter(bytes.strip), min_size=1, max_size=4).flatmap(
    lambda own: st.builds(
        protocol.ModelInferRequest.InferInputTensor,
        name=columns,
        datatype=st.just("BYTES"),
        shape=st.just([len(own)]),
        contents=st.just(protocol.InferTensorContents(bytes_contents=own)),
    )
)
outputs = st.builds(
    protocol.ModelInferRequest.InferRequestedOutputTensor,
    name=st.one_of(st.sampled_from(["label", "probability", "probabilities"]), st.text()),
    parameters=parameters,
)
inferences = st.builds(
    protocol.ModelInferRequest,
    model_name=names,
    model_version=st.one_of(st.just(""), st.just("0123456789ab"), st.text(max_size=12)),
    id=st.text(max_size=10),
    parameters=parameters,
    inputs=st.lists(st.one_of(plain, tensors), max_size=3),
    outputs=st.lists(outputs, max_size=2),
    raw_input_contents=st.one_of(
        st.just([]), st.lists(st.one_of(packed, st.binary(max_size=30)), max_size=3)
    ),
)


@dataclass
class Asked:
    """Channels to two models, and what they answered."""

    channels: list[Any]
    statuses: Statuses

    def ask(self, channel: int, method: str, content: bytes) -> None:
        call = self.channels[channel].unary_unary(method)
        try:
            call(content, timeout=20)
            status = "OK"
        except grpc.RpcError as error:
            status = error.code().name
            assert status in RIGHT, f"{status}: {error.details()}"
            assert dict(error.trailing_metadata())["tunesmith-code"]
        self.statuses["grpc"][status] += 1


@pytest.fixture(scope="module")
def calls(request: pytest.FixtureRequest) -> Iterator[Asked]:
    with counting(request) as statuses, ExitStack() as running:
        channels = []
        for task in (ASSURED, PAIRS):
            _, address = running.enter_context(listening(HashRuntime(task=task)))
            channels.append(running.enter_context(grpc.insecure_channel(address)))
        yield Asked(channels, statuses)


def test_made_up_inferences(calls: Asked) -> None:
    @asked("grpc", 0.8)
    @given(channel=st.integers(0, 1), message=inferences)
    def ask(channel: int, message: Any) -> None:
        calls.ask(channel, INFER, message.SerializeToString())

    ask()


def test_any_bytes(calls: Asked) -> None:
    @asked("grpc", 0.2)
    @given(channel=st.integers(0, 1), method=st.sampled_from(METHODS), content=st.binary())
    def ask(channel: int, method: str, content: bytes) -> None:
        calls.ask(channel, SERVICE + method, content)

    ask()
