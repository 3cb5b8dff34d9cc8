"""What is sent in the soak: every protocol, right requests and wrong ones, and clients that leave.

A kind says what it sends and which answers are right. An answer is wrong by its status, by its
shape, by a version that was never deployed, or by a probability that is not what the same version
said of the same text before.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from open_inference.grpc import protocol, service

PATIENCE_S = 30.0
SAME = 0.05
"""How far two probabilities of one text by one version may lie apart: alone, or in a batch."""

LONGEST_EMBEDDED = 300
"""Characters: what is longer than the model reads is refused there, and cut elsewhere."""


class UnexpectedError(Exception):
    """An answer that is none of the right ones; `status` of HTTP, where that is what is wrong."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


_FAULTS = (UnexpectedError, httpx.HTTPError, OSError, TimeoutError, grpc.aio.AioRpcError)


@dataclass(frozen=True)
class Target:
    """The server and who asks."""

    url: str
    grpc: str
    name: str
    key: str
    weak_key: str  # may predict, and nothing else
    certificate: bytes
    texts: tuple[str, ...]
    coverage: float  # that every version has

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@dataclass(frozen=True)
class Ask:
    """An HTTP request and which statuses are right."""

    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = ""  # "": the good one; None: none
    wanted: tuple[int, ...] = (200,)
    check: Callable[[httpx.Response], None] | None = None


class Traffic:
    """Sends requests of all kinds and counts what came of them.

    Attributes:
        counts: of each protocol, kind and outcome.
        wrong: what was not expected, as lines for the results.
    """

    def __init__(self, target: Target, on_wrong: Callable[[dict[str, Any]], None]) -> None:
        self.target = target
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.versions: set[str] = set()
        self._on_wrong = on_wrong
        self._drawn = random.Random(0)
        self._said: dict[tuple[str, str], float] = {}
        self._tls = ssl.create_default_context(cadata=target.certificate.decode())
        self._kept = [self._client() for _ in range(4)]
        self._channel = self._open_channel()
        self._kinds = {**_HTTP, **_RAW, **_RPC}

    async def one(self) -> None:
        """One request, of a kind that is drawn."""
        names = list(self._kinds)
        weights = [self._kinds[name][1] for name in names]
        name = self._drawn.choices(names, weights)[0]
        family, _, kind = self._kinds[name]
        try:
            if name in _HTTP:
                outcome = await self._ask(kind(self))
            else:
                outcome = await asyncio.wait_for(kind(self), PATIENCE_S)
        except (
            UnexpectedError,
            httpx.HTTPError,
            OSError,
            TimeoutError,
            grpc.aio.AioRpcError,
        ) as error:
            outcome = "unexpected"
            said = f"{type(error).__name__}: {error}"[:500]
            status = getattr(error, "status", None)
            self._on_wrong({"protocol": family, "kind": name, "status": status, "said": said})
        self.counts[family, name, outcome] += 1

    async def ready(self, patience_s: float) -> None:
        """Returns when the server is."""
        async with asyncio.timeout(patience_s):
            while not (await self._kept[0].get("/readyz")).is_success:
                await asyncio.sleep(0.2)

    async def rest(self) -> None:
        """Ends all connections; the next request makes new ones."""
        for client in self._kept:
            await client.aclose()
        await self._channel.close()
        self._kept = [self._client() for _ in self._kept]
        self._channel = self._open_channel()

    # What kinds are made of.

    def text(self, longest: int | None = None) -> str:
        """Half of the texts were there before, the others are new to the cache."""
        texts = [one for one in self.target.texts if longest is None or len(one) <= longest]
        text = self._drawn.choice(texts)
        return text if self._drawn.random() < 0.5 else f"{text} {self._drawn.randrange(10**9)}"

    def known(self) -> str:
        return self._drawn.choice(self.target.texts)

    def draw(self, low: int, high: int) -> int:
        return self._drawn.randint(low, high)

    def same(self, version: str, text: str, probability: float) -> None:
        """What a version said of a text once, it says again."""
        self.versions.add(version)
        if text not in self.target.texts:
            return
        first = self._said.setdefault((version, text), probability)
        if abs(first - probability) > SAME:
            raise UnexpectedError(
                f"{version} said {first:.4f}, now {probability:.4f}: {text[:60]!r}"
            )

    async def _ask(self, ask: Ask) -> str:
        key = self.target.key if ask.key == "" else ask.key
        headers = dict(ask.headers)
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        # A new connection, with a handshake of its own; and without the cookie of a sign-in.
        fresh = key is None or self._drawn.random() < 0.2
        client = self._client() if fresh else self._drawn.choice(self._kept)
        try:
            answer = await client.request(
                ask.method, ask.path, json=ask.json, content=ask.content, headers=headers
            )
        finally:
            if fresh:
                await client.aclose()
        if answer.status_code not in ask.wanted:
            said = f"{ask.method} {ask.path}: {answer.status_code} {answer.text[:300]}"
            raise UnexpectedError(said, answer.status_code)
        if ask.check is not None and answer.status_code == 200:
            ask.check(answer)
        if answer.status_code >= 400 and "error" not in answer.json():
            raise UnexpectedError(f"an error without its shape: {answer.text[:300]}")
        return str(answer.status_code)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.target.url, verify=self._tls, timeout=PATIENCE_S)

    def _open_channel(self) -> grpc.aio.Channel:
        trusted = grpc.ssl_channel_credentials(self.target.certificate)
        # Channels of one process share connections by default; a new one should be new.
        own = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(self.target.grpc, trusted, options=own)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.target.port, ssl=self._tls)

    def head(self, path: str, size: int) -> bytes:
        """The head of a POST with a body of `size` bytes."""
        return (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"authorization: Bearer {self.target.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {size}\r\n\r\n"
        ).encode()


# Right requests.


def _predict(traffic: Traffic, texts: list[str], **options: object) -> Ask:
    def check(answer: httpx.Response) -> None:
        content = answer.json()
        if len(content["predictions"]) != len(texts):
            raise UnexpectedError(f"{len(content['predictions'])} answers to {len(texts)} texts")
        for text, given in zip(texts, content["predictions"], strict=True):
            traffic.same(content["model"]["version"], text, given["probability"])
            if options.get("explain") and not given["explanation"]["words"]:
                raise UnexpectedError("no words in the explanation")

    return Ask("POST", "/v1/predict", {"texts": texts, **options}, check=check)


def _options(traffic: Traffic) -> Ask:
    options = {"top_k": 2, "scope": True, "abstain_below": 0.6}
    return _predict(traffic, [traffic.text()], coverage=traffic.target.coverage, **options)


def _explain(traffic: Traffic) -> Ask:
    def check(answer: httpx.Response) -> None:
        if not answer.json()["explanations"][0]["words"]:
            raise UnexpectedError("no words in the explanation")

    return Ask("POST", "/v1/explain", {"texts": [traffic.text()]}, check=check)


def _tei(traffic: Traffic, num: int) -> Ask:
    def check(answer: httpx.Response) -> None:
        content = answer.json()
        rows = [content] if num == 1 else content
        if len(rows) != num or any(abs(sum(x["score"] for x in row) - 1) > 1e-3 for row in rows):
            raise UnexpectedError(f"not {num} rows of probabilities: {answer.text[:200]}")

    inputs = traffic.text() if num == 1 else [[traffic.text()] for _ in range(num)]
    return Ask("POST", "/predict", {"inputs": inputs}, check=check)


def _infer(traffic: Traffic) -> Ask:
    text = traffic.known()

    def check(answer: httpx.Response) -> None:
        content = answer.json()
        outputs = {output["name"]: output["data"] for output in content["outputs"]}
        traffic.same(content["model_version"], text, outputs["probability"][0])

    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    return Ask("POST", f"/v2/models/{traffic.target.name}/infer", {"inputs": [tensor]}, check=check)


def _infer_binary(traffic: Traffic) -> Ask:
    text = traffic.known().encode()
    data = len(text).to_bytes(4, "little") + text
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES"}
    size = {"parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [{**tensor, **size}]}).encode()
    headers = {
        "inference-header-content-length": str(len(head)),
        "content-type": "application/octet-stream",
    }
    path = f"/v2/models/{traffic.target.name}/infer"
    return Ask("POST", path, content=head + data, headers=headers)


def _embed(traffic: Traffic, shape: str) -> Ask:
    def check(answer: httpx.Response) -> None:
        content = answer.json()
        traffic.versions.add(content["model"].partition("@")[2])
        given = content["data"][0]["embedding"]
        size = len(base64.b64decode(given)) // 4 if shape == "base64" else len(given)
        if len(content["data"]) != 2 or size < 8:
            raise UnexpectedError(f"not two vectors: {answer.text[:200]}")

    texts = [traffic.text(LONGEST_EMBEDDED) for _ in range(2)]
    sent = {"model": traffic.target.name, "input": texts, "encoding_format": shape}
    return Ask("POST", "/v1/embeddings", sent, check=check)


def _page(traffic: Traffic) -> Ask:
    return Ask("GET", traffic._drawn.choice(["/", "/docs", "/openapi.json", "/v1/live"]))


def _sign_in(traffic: Traffic) -> Ask:
    content = json.dumps({"key": traffic.target.key}).encode()
    headers = {"origin": traffic.target.url}
    return Ask("POST", "/login", content=content, headers=headers, key=None, wanted=(204,))


def _looked_up(traffic: Traffic) -> Ask:
    name = traffic.target.name
    own = ["/v1/info", "/info", "/v1/models", f"/v1/models/{name}", "/v2", f"/v2/models/{name}"]
    return Ask("GET", traffic._drawn.choice(own))


def _health(traffic: Traffic) -> Ask:
    own = ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"]
    return Ask("GET", traffic._drawn.choice(own))


# Wrong ones.


def _wrong_key(traffic: Traffic) -> Ask:
    key = f"tsk_{traffic.draw(0, 16**12):012x}_{'x' * 43}"
    text = {"texts": [traffic.known()]}
    return Ask("POST", "/v1/predict", text, key=key, wanted=(401, 429))


def _bad(traffic: Traffic) -> Ask:
    name, text = traffic.target.name, traffic.known()
    nothing = f"no-{traffic.draw(0, 10**9)}"
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": [text]}
    json_header = {"content-type": "application/json"}
    zipped = {**json_header, "content-encoding": "gzip"}
    body = json.dumps({"texts": [text]}).encode()
    large = b'{"texts": ["' + b"x" * 2_200_000 + b'"]}'
    return traffic._drawn.choice(
        [
            Ask("POST", "/v1/predict", {"texts": [text]}, key=None, wanted=(401,)),
            Ask("GET", "/metrics", key=traffic.target.weak_key, wanted=(403,)),
            Ask("POST", "/v1/predict", {"texts": [text], "model": nothing}, wanted=(404,)),
            Ask("POST", f"/v2/models/{nothing}/infer", {"inputs": [tensor]}, wanted=(404,)),
            Ask("POST", f"/v2/models/{name}/infer", {"inputs": [tensor]}, wanted=(400, 422)),
            Ask("POST", "/v1/embeddings", {"model": nothing, "input": text}, wanted=(404,)),
            Ask("POST", "/v1/embeddings", {"model": name, "input": [1, 2]}, wanted=(400, 422)),
            Ask("GET", f"/{nothing}", wanted=(404,)),
            Ask("DELETE", "/v1/predict", wanted=(405,)),
            Ask("POST", "/v1/predict", {"texts": [" "]}, wanted=(422,)),
            Ask("POST", "/v1/predict", {"texts": [text], "other": 1}, wanted=(422,)),
            Ask("POST", "/predict", {"inputs": 3}, wanted=(422,)),
            Ask("POST", "/v1/predict", content=body[:-2], headers=json_header, wanted=(400,)),
            Ask("POST", "/v1/predict", content=b"\xff{", headers=json_header, wanted=(400,)),
            Ask("POST", "/v1/predict", content=gzip.compress(body), headers=zipped, wanted=(415,)),
            Ask("POST", "/v1/predict", content=body, wanted=(415,)),
            Ask("POST", "/v1/predict", content=large, headers=json_header, wanted=(413,)),
            Ask("POST", "/v1/predict", {"texts": [text] * 1001}, wanted=(413,)),
            Ask("GET", "/", headers={"host": "example.org"}, wanted=(403,)),
        ]
    )


# Clients that leave, by sockets of their own.


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await asyncio.sleep(0)


async def _leave_in_body(traffic: Traffic) -> str:
    _, writer = await traffic.connect()
    writer.write(traffic.head("/v1/predict", 5000) + b'{"texts": ["half of')
    await writer.drain()
    await asyncio.sleep(0.05)
    await _leave(writer)
    return "left"


async def _leave_before_answer(traffic: Traffic) -> str:
    body = json.dumps({"texts": [traffic.text() for _ in range(4)], "explain": True}).encode()
    _, writer = await traffic.connect()
    writer.write(traffic.head("/v1/predict", len(body)) + body)
    await writer.drain()
    await asyncio.sleep(0.01)
    await _leave(writer)
    return "left"


async def _leave_in_answer(traffic: Traffic) -> str:
    reader, writer = await traffic.connect()
    writer.write(traffic.head("/openapi.json", 0).replace(b"POST", b"GET"))
    await writer.drain()
    status = (await reader.read(64))[9:12].decode()
    await _leave(writer)
    if status != "200":
        raise UnexpectedError(f"status {status} while leaving")
    return "left"


async def _leave_in_head(traffic: Traffic) -> str:
    _, writer = await traffic.connect()
    writer.write(b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\nx-half: ")
    await writer.drain()
    await _leave(writer)
    return "left"


async def _no_handshake(traffic: Traffic) -> str:
    _, writer = await asyncio.open_connection("127.0.0.1", traffic.target.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)
    await _leave(writer)
    return "left"


async def _no_http(traffic: Traffic) -> str:
    reader, writer = await traffic.connect()
    writer.write(b"\x16\x03 nothing that is HTTP\r\n\r\n")
    status = (await reader.read(64))[9:12].decode()
    await _leave(writer)
    if status != "400":
        raise UnexpectedError(f"status {status} to what is no HTTP")
    return status


# gRPC.


def _infer_request(traffic: Traffic, text: str) -> protocol.ModelInferRequest:
    contents = protocol.InferTensorContents(bytes_contents=[text.encode()])
    tensor = protocol.ModelInferRequest.InferInputTensor(
        name="text", datatype="BYTES", shape=[1], contents=contents
    )
    return protocol.ModelInferRequest(model_name=traffic.target.name, inputs=[tensor])


async def _rpc(traffic: Traffic, channel: grpc.aio.Channel, key: str, **given: Any) -> Any:
    text = traffic.known()
    answer = await service.GRPCInferenceServiceStub(channel).ModelInfer(
        _infer_request(traffic, text),
        metadata=[("authorization", f"Bearer {key}")],
        **{"timeout": PATIENCE_S, **given},
    )
    (output,) = (output for output in answer.outputs if output.name == "probability")
    traffic.same(answer.model_version, text, _first(answer, output))
    return answer


def _first(answer: Any, output: Any) -> float:
    contents = output.contents
    found = [*contents.fp32_contents, *contents.fp64_contents]
    if not found:
        raise UnexpectedError(f"no probability in {str(answer)[:200]}")
    return float(found[0])


async def _rpc_infer(traffic: Traffic) -> str:
    await _rpc(traffic, traffic._channel, traffic.target.key)
    return "OK"


async def _rpc_new_channel(traffic: Traffic) -> str:
    async with traffic._open_channel() as channel:
        await _rpc(traffic, channel, traffic.target.key)
    return "OK"


async def _rpc_ready(traffic: Traffic) -> str:
    stub = service.GRPCInferenceServiceStub(traffic._channel)
    answer = await stub.ServerReady(protocol.ServerReadyRequest(), timeout=PATIENCE_S)
    if not answer.ready:
        raise UnexpectedError("not ready")
    return "OK"


async def _rpc_wrong_key(traffic: Traffic) -> str:
    return await _refused(traffic, "wrong", {"UNAUTHENTICATED", "RESOURCE_EXHAUSTED"})


async def _rpc_deadline(traffic: Traffic) -> str:
    return await _refused(traffic, traffic.target.key, {"DEADLINE_EXCEEDED", "OK"}, timeout=0.002)


async def _rpc_cancelled(traffic: Traffic) -> str:
    task = asyncio.ensure_future(_rpc(traffic, traffic._channel, traffic.target.key))
    await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or UnexpectedError("no answer")
    return "left"


async def _refused(traffic: Traffic, key: str, wanted: set[str], **given: Any) -> str:
    status = "OK"
    try:
        await _rpc(traffic, traffic._channel, key, **given)
    except grpc.aio.AioRpcError as error:
        status = error.code().name
    if status not in wanted:
        raise UnexpectedError(f"{status}, not one of {sorted(wanted)}")
    return status


# Name → protocol, weight, kind.
_HTTP: dict[str, tuple[str, float, Callable[[Traffic], Ask]]] = {
    "predict one": ("native", 20, lambda own: _predict(own, [own.text()])),
    "predict many": ("native", 1, lambda own: _predict(own, [own.text() for _ in range(25)])),
    "predict options": ("native", 5, _options),
    "predict explain": ("native", 1, lambda own: _predict(own, [own.text()], explain=True)),
    "explain": ("native", 1, _explain),
    "tei one": ("tei", 6, lambda own: _tei(own, 1)),
    "tei many": ("tei", 2, lambda own: _tei(own, 5)),
    "oip": ("open inference", 6, _infer),
    "oip binary": ("open inference", 3, _infer_binary),
    "embeddings": ("openai", 3, lambda own: _embed(own, "float")),
    "embeddings base64": ("openai", 3, lambda own: _embed(own, "base64")),
    "metrics": ("operations", 2, lambda _: Ask("GET", "/metrics")),
    "health": ("operations", 3, _health),
    "models": ("operations", 4, _looked_up),
    "page": ("page", 3, _page),
    "sign in": ("page", 1, _sign_in),
    "wrong key": ("wrong", 1, _wrong_key),
    "wrong": ("wrong", 10, _bad),
}
_RAW: dict[str, tuple[str, float, Callable[[Traffic], Awaitable[str]]]] = {
    "leaves in its head": ("leaves", 1, _leave_in_head),
    "leaves in its body": ("leaves", 2, _leave_in_body),
    "leaves before the answer": ("leaves", 2, _leave_before_answer),
    "leaves in the answer": ("leaves", 1, _leave_in_answer),
    "no handshake": ("leaves", 1, _no_handshake),
    "no http": ("leaves", 1, _no_http),
}
_RPC: dict[str, tuple[str, float, Callable[[Traffic], Awaitable[str]]]] = {
    "grpc": ("grpc", 6, _rpc_infer),
    "grpc new channel": ("grpc", 1, _rpc_new_channel),
    "grpc ready": ("grpc", 1, _rpc_ready),
    "grpc wrong key": ("grpc", 1, _rpc_wrong_key),
    "grpc deadline": ("grpc", 1, _rpc_deadline),
    "grpc cancelled": ("grpc", 1, _rpc_cancelled),
}
