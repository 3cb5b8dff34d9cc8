"""The end of a server that speaks HTTP and gRPC: both at once, and at once where told twice."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("open_inference.grpc", reason="open-inference-grpc is not installed")

from open_inference.grpc import protocol  # noqa: E402 - after the skip

from .programs import running  # noqa: E402

PROGRAM = """
import time
from serving.hash_runtime import HashRuntime
from tunesmith.serving import Guards, Limits, create_app, run
from tunesmith.serving.rpc import RpcAddress, RpcListener
class Slow(HashRuntime):
    def run(self, rows, *, beside=False):
        if "slow" in str(rows[0][0].inputs):
            print("slow", flush=True)
            time.sleep(4)
        return super().run(rows, beside=beside)
app = create_app(Slow(), name="Tickets", guards=Guards(None))
rpc = RpcListener(RpcAddress("127.0.0.1", 0), app.state.catalogue, access=None, limits=Limits(),
    metrics=app.state.metrics, tls=None)
run(app, host="127.0.0.1", port=0, on_ready=lambda url: print(url, flush=True), rpc=rpc,
    on_rpc=lambda address: print(address, flush=True))
print("returned", flush=True)
"""


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    with running(PROGRAM, num_lines=2) as (process, (address, url)):
        yield process, url, address


def asked(channel: Any, process: subprocess.Popen[str]) -> Any:
    """A call that the model is busy with."""
    values = protocol.InferTensorContents(bytes_contents=[b"slow one"])
    tensor = protocol.ModelInferRequest.InferInputTensor(
        name="text", shape=[1], datatype="BYTES", contents=values
    )
    request = protocol.ModelInferRequest(model_name="Tickets", inputs=[tensor])
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer").future(
        request.SerializeToString(), timeout=20, wait_for_ready=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "slow\n"
    return call


def is_accepting(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_http_ends_while_grpc_answers_what_has_come_in(
    server: tuple[subprocess.Popen[str], str, str],
) -> None:
    process, url, address = server
    with grpc.insecure_channel(address) as channel:
        call = asked(channel, process)
        assert is_accepting(url)
        process.send_signal(signal.SIGTERM)
        threading.Event().wait(1)
        assert not call.done()
        assert not is_accepting(url)
        assert protocol.ModelInferResponse.FromString(call.result()).outputs
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "returned\n", "")


def test_a_second_signal_ends_calls_too(server: tuple[subprocess.Popen[str], str, str]) -> None:
    process, _, address = server
    with grpc.insecure_channel(address) as channel:
        call = asked(channel, process)
        started = monotonic()
        process.send_signal(signal.SIGTERM)
        threading.Event().wait(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError):
            call.result()
        assert monotonic() - started < 3
        output, _ = process.communicate(timeout=20)  # once the model has ended its batch
    assert (process.returncode, output) == (0, "returned\n")
