"""The Open Inference Protocol over gRPC: a real port, grpcio's own client."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.errors import ConfigError, MissingDependencyError, OutputError
from tunesmith.serving import Limits, Security, serve
from tunesmith.serving.rpc import RpcAddress, RpcListener
from tunesmith.serving.security import PASSWORD_VARIABLE, Access, KeyFile, Quota, Tls, TlsFiles
from tunesmith.serving.tracing import open_tracer

from .hash_runtime import LABELS, MANY_LABELS, PAIRS, HashRuntime, make_app

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("open_inference.grpc", reason="open-inference-grpc is not installed")

from open_inference.grpc import protocol  # noqa: E402 - after the skip

Start = Callable[..., Any]
INFER = "/inference.GRPCInferenceService/ModelInfer"
HEALTH = "/grpc.health.v1.Health/Check"


@contextmanager
def listening(
    runtime: HashRuntime,
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    tls: Tls | None = None,
    port: int = 0,
    tracer: Any = None,
) -> Iterator[tuple[Any, str]]:
    """The app, and where gRPC is spoken, on an event loop in a thread, as the server has it."""
    app = make_app(runtime, limits, access=access)
    catalogue = app.state.catalogue
    listener = RpcListener(
        RpcAddress("127.0.0.1", port),
        catalogue,
        access=access,
        limits=catalogue.limits,
        metrics=app.state.metrics,
        tls=tls,
        tracer=tracer,
    )
    told: list[Any] = []
    ready, stop = threading.Event(), threading.Event()

    async def session() -> None:
        async with catalogue.running():
            while not catalogue.ready:
                await asyncio.sleep(0.005)
            runtime.batches.clear()
            runtime.started.clear()
            try:
                told.append(await listener.start())
            except OutputError as error:
                told.append(error)
                return
            finally:
                ready.set()
            await asyncio.to_thread(stop.wait)
            await listener.stop(5)

    thread = threading.Thread(target=lambda: asyncio.run(session()))
    thread.start()
    try:
        assert ready.wait(60)
        if isinstance(told[0], OutputError):
            raise told[0]
        yield app, told[0]
    finally:
        stop.set()
        if runtime.gate is not None:
            runtime.gate.set()
        thread.join(30)
        assert not thread.is_alive()


def ask(
    address: str,
    method: str,
    request: Any,
    answer: Any,
    *,
    key: str | None = None,
    timeout: float = 20,
    **metadata: str,
) -> Any:
    sent = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    if key is not None:
        sent.append(("authorization", f"Bearer {key}"))
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            method,
            request_serializer=lambda one: (
                one if isinstance(one, bytes) else one.SerializeToString()
            ),
            response_deserializer=answer.FromString if hasattr(answer, "FromString") else answer,
        )
        return call(request, timeout=timeout, metadata=sent)


def tensor(*texts: str, name: str = "text", **changes: Any) -> Any:
    kind = protocol.ModelInferRequest.InferInputTensor
    values = protocol.InferTensorContents(bytes_contents=[text.encode() for text in texts])
    own = {"name": name, "shape": [len(texts)], "datatype": "BYTES", "contents": values, **changes}
    return kind(**own)


def infer(address: str, *inputs: Any, model: str = "Tickets", **more: Any) -> Any:
    options = {name: more.pop(name) for name in ("key", "timeout") if name in more}
    request = protocol.ModelInferRequest(model_name=model, inputs=inputs, **more)
    return ask(address, INFER, request, protocol.ModelInferResponse, **options)


def test_answers_as_the_native_protocol_does() -> None:
    runtime = HashRuntime()
    texts = ["where is it", "thanks"]
    with listening(runtime) as (_, address):
        answer = infer(address, tensor(*texts), id="42")
    assert (answer.id, answer.model_name, answer.model_version) == ("42", "Tickets", "0123456789ab")
    found = {one.name: one for one in answer.outputs}
    alone = runtime.predict(texts)
    assert [value.decode() for value in found["label"].contents.bytes_contents] == [
        one.label
        for one in alone  # type: ignore[union-attr]
    ]
    table = found["probabilities"]
    assert list(table.shape) == [2, 4]
    assert json.loads(table.parameters["labels"].string_param) == list(LABELS)
    wanted = [one.probabilities[label] for one in alone for label in LABELS]
    assert list(table.contents.fp32_contents) == pytest.approx(wanted, abs=1e-6)


def test_pairs_several_labels_and_chosen_outputs() -> None:
    with listening(HashRuntime(task=PAIRS)) as (_, address):
        both = infer(address, tensor("b", name="answer"), tensor("a", name="question"))
        label = both.outputs[0].contents.bytes_contents[0].decode()
    assert label == HashRuntime(task=PAIRS).predict([["a", "b"]])[0].label  # type: ignore[union-attr]
    kind = protocol.ModelInferRequest.InferRequestedOutputTensor
    with listening(HashRuntime(task=MANY_LABELS)) as (_, address):
        answer = infer(address, tensor("a"), outputs=[kind(name="chosen")])
    (one,) = answer.outputs
    chosen = HashRuntime(task=MANY_LABELS).predict(["a"])[0]
    assert list(one.contents.bool_contents) == [
        label in chosen.labels
        for label in LABELS  # type: ignore[union-attr]
    ]


def test_raw_bytes_are_answered_with_raw_bytes() -> None:
    texts = ["where is it", "größe"]
    raw = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    runtime = HashRuntime()
    with listening(runtime) as (_, address):
        bare = tensor(*texts, contents=None)
        answer = infer(address, bare, raw_input_contents=[raw])
    by_name = dict(
        zip((one.name for one in answer.outputs), answer.raw_output_contents, strict=True)
    )
    alone = runtime.predict(texts)
    found = np.frombuffer(by_name["probability"], dtype="<f4")
    assert found == pytest.approx([one.probability for one in alone], abs=1e-6)  # type: ignore[union-attr]
    (length,) = struct.unpack_from("<I", by_name["label"])
    assert by_name["label"][4 : 4 + length].decode() == alone[0].label  # type: ignore[union-attr]


def test_health_readiness_and_metadata_need_no_model_to_be_asked() -> None:
    runtime = HashRuntime()

    def told(name: str, /, **values: Any) -> Any:
        request = getattr(protocol, f"{name}Request")(**values)
        method = f"/inference.GRPCInferenceService/{name}"
        return ask(address, method, request, getattr(protocol, f"{name}Response"))

    with listening(runtime) as (_, address):
        assert ask(address, HEALTH, b"", bytes) == b"\x08\x01"
        live = told("ServerLive")
        ready = told("ServerReady")
        model = told("ModelReady", name="Tickets")
        server = told("ServerMetadata")
        metadata = told("ModelMetadata", name="Tickets")
    assert (live.live, ready.ready, model.ready, server.name) == (True, True, True, "tunesmith")
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [
        ("text", "BYTES", [-1])
    ]
    assert list(metadata.versions) == ["0123456789ab"]
    assert runtime.batches == []


def test_every_method_but_the_open_ones_wants_a_key(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    _, right = file.create("a", scopes=("predict",))
    _, other = file.create("b", scopes=("metrics",))
    _, few = file.create("c", scopes=("predict",), quota=Quota(tokens_per_day=2))
    service = "/inference.GRPCInferenceService/"

    def status(method: str, request: Any = b"", **more: Any) -> str:
        try:
            ask(address, method, request, bytes, **more)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    with listening(HashRuntime(), access=Access(file)) as (app, address):
        closed = ["ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer", "Nope"]
        for method in (*(service + name for name in closed), "/a.B/C", "/grpc.health.v1.Health/X"):
            assert status(method) == "UNAUTHENTICATED", method
            assert status(method, key="tsk_000000000000_wrong") in {
                "UNAUTHENTICATED",
                "RESOURCE_EXHAUSTED",
            }
        for name in (HEALTH, f"{service}ServerLive", f"{service}ServerReady"):
            assert status(name) == "OK"
        asked = protocol.ModelInferRequest(model_name="Tickets", inputs=[tensor("a b c")])
        assert status(INFER, asked, key=right) == "OK"
        assert status(INFER, asked, x_api_key=right) == "OK"
        assert status(INFER, asked, key=right, x_api_key=right) in {
            "UNAUTHENTICATED",
            "RESOURCE_EXHAUSTED",
        }
        assert status(INFER, asked, key=other) == "PERMISSION_DENIED"
        assert status("/a.B/C", key=right) == "UNIMPLEMENTED"
        assert [status(INFER, asked, key=few) for _ in range(2)] == ["OK", "RESOURCE_EXHAUSTED"]
        metrics = app.state.metrics.render().decode()
    answered = f'model="Tickets",route="{INFER}",status="200",version="0123456789ab"'
    assert f"tunesmith_requests_total{{{answered}}} 3.0" in metrics
    assert 'model="",route="unknown",status="401",version=""' in metrics
    assert "/a.B/C" not in metrics


def test_silent_streams_take_no_place_from_others(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    _, key = file.create("a", scopes=("predict",))
    limits = Limits(max_connections=4, timeout_s=0.5, header_timeout_s=0.5)

    def endless() -> Iterator[bytes]:
        silence.wait(30)
        yield from ()

    silence = threading.Event()
    with (
        listening(HashRuntime(), limits=limits, access=Access(file)) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        start = channel.stream_unary
        unknown = [start(INFER).future(endless(), timeout=20) for _ in range(4)]
        told = [("authorization", f"Bearer {key}")]
        assert [one.code().name for one in unknown] == ["UNAUTHENTICATED"] * 4
        threading.Event().wait(0.2)  # a call has its place a little longer than its client waits
        known = [start(INFER).future(endless(), timeout=20, metadata=told) for _ in range(2)]
        known += [start(HEALTH).future(endless(), timeout=20) for _ in range(2)]
        assert [one.code().name for one in known] == ["DEADLINE_EXCEEDED"] * 4
        assert all("took too long" in one.details() for one in known), "by the server, not here"
        threading.Event().wait(0.2)
        assert infer(address, tensor("a"), key=key).outputs
        nothing = start(INFER).future(iter(()), timeout=20, metadata=told)
        assert (nothing.code().name, nothing.details()) == (
            "INVALID_ARGUMENT",
            "holds no message",
        )
        silence.set()


def test_two_keys_are_none(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    _, key = file.create("a", scopes=("predict",))
    twice = [("authorization", "Bearer tsk_000000000000_wrong"), ("authorization", f"Bearer {key}")]
    asked = protocol.ModelInferRequest(model_name="Tickets", inputs=[tensor("a")])
    with (
        listening(HashRuntime(), access=Access(file)) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        call = channel.unary_unary(INFER)
        assert call(asked.SerializeToString(), timeout=20, metadata=twice[1:])
        for sent in (twice, twice[::-1], twice[1:] * 2):
            with pytest.raises(grpc.RpcError) as raised:
                call(asked.SerializeToString(), timeout=20, metadata=sent)
            assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError, match="is not the message of this method") as raised:
            call(b"\xff\xff", timeout=20, metadata=twice[1:])
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        ([], "INVALID_ARGUMENT", "inputs: is empty"),
        ([tensor(" ")], "INVALID_ARGUMENT", "inputs[0]: the text is empty"),
        ([tensor("a", datatype="FP32")], "INVALID_ARGUMENT", "inputs[0]: is FP32"),
        ([tensor("a", shape=[7])], "INVALID_ARGUMENT", "inputs[0]: has the shape [7]"),
        ([tensor(*"abc")], "INVALID_ARGUMENT", "inputs: 3 texts are too many"),
        ([tensor("a" * 200)], "INVALID_ARGUMENT", "inputs[0]: 200 characters are too many"),
        ([tensor("a" * 70_000)], "RESOURCE_EXHAUSTED", ""),
    ],
)
def test_the_limits_are_the_same(inputs: list[Any], code: str, message: str) -> None:
    limits = Limits(max_texts=2, max_characters=100, max_body_bytes=50_000)
    runtime = HashRuntime()
    with (
        listening(runtime, limits=limits) as (_, address),
        pytest.raises(grpc.RpcError) as raised,
    ):
        infer(address, *inputs)
    assert raised.value.code().name == code
    assert raised.value.details().startswith(message)
    assert runtime.batches == []


def test_wrong_requests_say_why_and_who_was_asked() -> None:
    bad = protocol.InferTensorContents(bytes_contents=[b"\xff"])
    with listening(HashRuntime()) as (_, address):
        with pytest.raises(grpc.RpcError, match="no model of this name") as raised:
            infer(address, tensor("a"), model="other")
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        told = dict(raised.value.trailing_metadata())
        assert told["tunesmith-code"] == "not_found"
        assert len(told["x-request-id"]) == 32
        with pytest.raises(grpc.RpcError, match="not UTF-8"):
            infer(address, tensor("a", contents=bad))
        with pytest.raises(grpc.RpcError, match="has 2 parts for 1 inputs"):
            infer(address, tensor("a", contents=None), raw_input_contents=[b"", b""])


def test_a_deadline_ends_the_work_and_faults_stay_opaque() -> None:
    runtime = HashRuntime()
    with listening(runtime) as (app, address):
        plane = app.state.catalogue.find().plane
        runtime.gate = threading.Event()
        with pytest.raises(grpc.RpcError) as raised:
            infer(address, tensor("a"), timeout=0.3)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        for _ in range(500):
            if not plane.pending:
                break
            threading.Event().wait(0.01)
        assert plane.pending == 0, "nobody waits for it any more"
        runtime.gate.set()
        runtime.fault = RuntimeError("a secret of the machine")
        with pytest.raises(grpc.RpcError) as failed:
            infer(address, tensor("a"))
        assert failed.value.code() == grpc.StatusCode.INTERNAL
        assert "secret" not in failed.value.details()
        runtime.fault = None
        assert infer(address, tensor("a")).outputs


def test_what_cannot_be_answered_soon_says_when_to_ask_again() -> None:
    runtime = HashRuntime()
    with listening(runtime, limits=Limits(max_queue=1)) as (_, address):
        runtime.gate = threading.Event()
        first = threading.Thread(target=lambda: infer(address, tensor("a")))
        first.start()
        assert runtime.started.wait(10)
        with pytest.raises(grpc.RpcError) as raised:
            infer(address, tensor("b"))
        runtime.gate.set()
        first.join()
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert int(dict(raised.value.trailing_metadata())["retry-after"]) >= 1


def test_a_port_that_is_taken() -> None:
    with listening(HashRuntime()) as (_, address):
        port = int(address.rpartition(":")[2])
        with pytest.raises(OutputError, match="cannot listen"), listening(HashRuntime(), port=port):
            pass


def test_security_looks_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="port is a number"):
        Security(grpc_port=70_000).check("127.0.0.1", 0)
    with pytest.raises(OutputError, match="needs --insecure"):
        Security(grpc_port=0).check("0.0.0.0", 0)
    monkeypatch.setattr("tunesmith.serving.rpc._listener._is_there", lambda _: False)
    with pytest.raises(MissingDependencyError, match=r"tunesmith\[grpc\]"):
        Security(grpc_port=0).check("127.0.0.1", 0)


def test_tls_from_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from .security.conftest import Authority

    authority = Authority(tmp_path)
    files = authority.issue("server")
    tls = Tls(TlsFiles(*files))

    def healthy(address: str, *own: bytes) -> bool:
        trusted = grpc.ssl_channel_credentials(authority.file.read_bytes(), *own)
        with grpc.secure_channel(address, trusted) as channel:
            return bool(channel.unary_unary(HEALTH)(b"", timeout=20) == b"\x08\x01")

    with listening(HashRuntime(), tls=tls) as (_, address):
        assert healthy(address)
        with pytest.raises(grpc.RpcError):
            ask(address, HEALTH, b"", bytes, timeout=2)
        before = files[0].read_bytes()
        authority.issue("server")  # to the same files
        assert tls.reload()
        assert tls.pem().certificate == files[0].read_bytes() != before
        assert healthy(address)
    both = Tls(TlsFiles(*files, authority.file))
    with listening(HashRuntime(), tls=both) as (_, address):
        with pytest.raises(grpc.RpcError):
            healthy(address)
        certificate, key = authority.issue("client", is_client=True)
        assert healthy(address, key.read_bytes(), certificate.read_bytes())


def test_an_encrypted_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    from .security.conftest import Authority

    monkeypatch.setenv(PASSWORD_VARIABLE, "open sesame")
    tls = Tls(TlsFiles(*Authority(tmp_path).issue("server", password="open sesame")))
    with pytest.raises(ConfigError, match="gRPC cannot read a key that is encrypted"):
        tls.pem()


def test_what_grpc_cannot_have_is_found_before_the_bundle_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    from .security.conftest import Authority

    monkeypatch.setenv("TUNESMITH_KEYS", str(tmp_path / "none.json"))
    monkeypatch.setenv(PASSWORD_VARIABLE, "open sesame")
    files = TlsFiles(*Authority(tmp_path).issue("server", password="open sesame"))
    for security, message in (
        (Security(tls=files, grpc_port=0), "gRPC cannot read a key that is encrypted"),
        (Security(grpc_port=48_123), "two listeners cannot share port 48123"),
        (Security(admin_port=48_123), "two listeners cannot share port 48123"),
    ):
        with pytest.raises(ConfigError, match=message) as raised:
            serve("/no/such/bundle", port=48_123, security=security)
        assert raised.value.exit_code == 2
    Security(grpc_port=0, admin_port=0).check("127.0.0.1", 0)  # 0: any that is free


def test_calls_are_traced_as_requests_are() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tracer, shut_down = open_tracer(exporter)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    runtime = HashRuntime()
    with listening(runtime, tracer=tracer) as (_, address):
        request = protocol.ModelInferRequest(model_name="Tickets", inputs=[tensor("my secret")])
        answers = protocol.ModelInferResponse
        ask(address, INFER, request, answers, traceparent=parent, x_request_id="mine-1")
        ask(address, HEALTH, b"", bytes)
        with pytest.raises(grpc.RpcError):
            infer(address, tensor(" "))
        with pytest.raises(grpc.RpcError):
            ask(address, "/my.secret/Method", b"", bytes)
        runtime.fault = RuntimeError("a secret")
        with pytest.raises(grpc.RpcError):
            infer(address, tensor("b"))
    shut_down()
    queue, inference, answered, refused, unknown, failed = exporter.get_finished_spans()
    assert (queue.name, inference.name) == ("queue", "inference")
    assert answered.name == "inference.GRPCInferenceService/ModelInfer"
    assert answered.kind.name == "SERVER"
    assert format(answered.context.trace_id, "032x") == parent.split("-")[1]
    assert format(answered.parent.span_id, "016x") == parent.split("-")[2]
    assert {queue.parent.span_id, inference.parent.span_id} == {answered.context.span_id}
    found = dict(answered.attributes)
    assert found.pop("tunesmith.queue_ms") >= 0
    assert found.pop("tunesmith.inference_ms") > 0
    assert found == {
        "rpc.system.name": "grpc",
        "rpc.method": "inference.GRPCInferenceService/ModelInfer",
        "rpc.response.status_code": "OK",
        "tunesmith.request_id": "mine-1",
        "tunesmith.model": "Tickets",
        "tunesmith.version": "0123456789ab",
        "tunesmith.num_texts": 1,
        "tunesmith.num_tokens": 2,
        "tunesmith.num_cached": 0,
    }
    own = [
        (
            span.attributes["rpc.response.status_code"],
            span.attributes["error.type"],
            span.status.status_code.name,
        )
        for span in (refused, unknown, failed)
    ]
    assert own == [
        ("INVALID_ARGUMENT", "empty_text", "UNSET"),
        ("UNIMPLEMENTED", "method_not_allowed", "ERROR"),
        ("INTERNAL", "internal", "ERROR"),
    ]
    assert (unknown.name, unknown.attributes["rpc.method"]) == ("grpc", "_OTHER")
    assert "secret" not in "".join(span.to_json() for span in exporter.get_finished_spans())
