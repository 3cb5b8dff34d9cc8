"""Every refusal: its status, its code, its one shape, and a message that helps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from tunesmith.serving import Limits
from tunesmith.serving.security import Access

from .hash_runtime import PAIRS, HashRuntime

Serve = Callable[..., TestClient]
JSON = {"content-type": "application/json"}


def problem(response: Response) -> tuple[int, str]:
    """Status and code, after the shape was checked."""
    content = response.json()
    assert list(content) == ["error"]
    error = content["error"]
    assert list(error) == ["code", "message", "request_id"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    assert len(error["message"]) <= 501
    return response.status_code, error["code"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"{'texts': ['a']}", 400, "not_json"),
        (b'{"texts": ["\xff\xfe"]}', 400, "not_json"),
        (b'{"texts": ["\\ud800"]}', 400, "not_json"),
        (b'{"texts": ["\\udc00\\ud800"]}', 400, "not_json"),
        (b'{"texts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "not_json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "not_json"),
        (b'{"texts": ["a"], "top_k": ' + b"9" * 10_000 + b"}", 400, "not_json"),
        ('{"texts": ["a"]}'.encode("utf-16"), 400, "not_json"),
        (b"null", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b'"texts"', 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b'{"texts": []}', 422, "invalid_request"),
        (b'{"texts": "a"}', 422, "invalid_request"),
        (b'{"texts": {"0": "a"}}', 422, "invalid_request"),
        (b'{"texts": null}', 422, "invalid_request"),
        (b'{"texts": ["a"], "tops": 1}', 422, "invalid_request"),
        (b'{"texts": ["a"], "top_k": 0}', 422, "invalid_request"),
        (b'{"texts": ["a"], "top_k": -1}', 422, "invalid_request"),
        (b'{"texts": ["a"], "top_k": 1.5}', 422, "invalid_request"),
        (b'{"texts": ["a"], "top_k": "1"}', 422, "invalid_request"),
        (b'{"texts": ["a"], "top_k": true}', 422, "invalid_request"),
        (b'{"texts": ["a"], "top_k": 1e999}', 422, "invalid_request"),
        (b'{"texts": ["a", 1]}', 422, "invalid_text"),
        (b'{"texts": ["a", 1e999]}', 422, "invalid_text"),
        (b'{"texts": ["a", null]}', 422, "invalid_text"),
        (b'{"texts": [true]}', 422, "invalid_text"),
        (b'{"texts": [[]]}', 422, "invalid_text"),
        (b'{"texts": [["a", "b"]]}', 422, "invalid_text"),
        (b'{"texts": [[["a"]]]}', 422, "invalid_text"),
        (b'{"texts": [{}]}', 422, "invalid_text"),
        (b'{"texts": [{"text": 1}]}', 422, "invalid_text"),
        (b'{"texts": [""]}', 422, "empty_text"),
        (b'{"texts": ["\\u0000"]}', 422, "empty_text"),
        (b'{"texts": [" \\n\\u00a0\\u200b"]}', 422, "empty_text"),
        (json.dumps({"texts": ["x" * 1_000_000]}).encode(), 413, "text_too_long"),
        (json.dumps({"texts": ["x"] * 10_000}).encode(), 413, "too_many_texts"),
        (json.dumps({"texts": ["x" * 90_000] * 30}).encode(), 413, "body_too_large"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_refuses_wrong_bodies(client: TestClient, body: bytes, status: int, code: str) -> None:
    assert problem(client.post("/v1/predict", content=body, headers=JSON)) == (status, code)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"texts": ["a", "b", " ", "d"]},
            "texts[2]: the text is empty or holds nothing but blanks; leave it out, or give a text",
        ),
        (
            {"texts": []},
            'texts: is empty; send {"texts": ["…"]}; GET /docs shows more',
        ),
        (
            {"texts": ["a"] * 1_001},
            "texts: 1,001 texts are too many for one request; send at most 1,000 at once",
        ),
        (
            {"texts": ["a", "b" * 100_001]},
            (
                "texts[1]: 100,001 characters are too many for one text; "
                "send at most 100,000; the model reads the first 16 tokens"
            ),
        ),
        ({"texts": ["a", 5]}, "texts[1]: field 'text' must be text, and is int"),
        (
            {"texts": ["a"], "top_k": 0},
            'top_k: must be at least 1; send {"texts": ["…"]}; GET /docs shows more',
        ),
        ([], 'body: must be a JSON object; send {"texts": ["…"]}; GET /docs shows more'),
    ],
)
def test_says_where_and_how_to_mend(client: TestClient, body: object, message: str) -> None:
    assert client.post("/v1/predict", json=body).json()["error"]["message"] == message


def test_names_the_field_of_a_pair(serve: Serve) -> None:
    client = serve(HashRuntime(task=PAIRS))
    blank = client.post("/v1/predict", json={"texts": [["a", "b"], ["a", " "]]})
    short = client.post("/v1/predict", json={"texts": ["a"]})
    assert blank.json()["error"]["message"].startswith("texts[1].answer: the text is empty")
    assert short.json()["error"]["message"] == (
        "texts[0]: the model reads 2 text(s) (question, answer), and got 1"
    )


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_reads_json_only(client: TestClient, media_type: str) -> None:
    headers = {"content-type": media_type} if media_type else {}
    response = client.post("/v1/predict", content=b'{"texts": ["a"]}', headers=headers)
    assert problem(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_reads_no_compressed_bodies(client: TestClient, encoding: str) -> None:
    bomb = gzip.compress(b'{"texts": ["a"]}' + b" " * 10_000_000)
    headers = {**JSON, "content-encoding": encoding}
    response = client.post("/v1/predict", content=bomb, headers=headers)
    assert problem(response) == (415, "unsupported_encoding")


def test_counts_the_bytes_of_a_stream(serve: Serve, runtime: HashRuntime) -> None:
    client = serve(runtime, Limits(max_body_bytes=1_000))

    def stream() -> Iterator[bytes]:
        yield b'{"texts": ["'
        for _ in range(20):
            yield b"x" * 100

    response = client.post("/v1/predict", content=stream(), headers=JSON)
    assert problem(response) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("5000", (413, "body_too_large")),
        ("9" * 6_000, (413, "body_too_large")),
        ("-1", (400, "bad_content_length")),
        ("ten", (400, "bad_content_length")),
        ("1_0", (400, "bad_content_length")),
        ("²", (400, "bad_content_length")),
    ],
    ids=lambda value: str(value)[:20],
)
def test_reads_the_length_with_care(
    serve: Serve, runtime: HashRuntime, length: str, expected: tuple[int, str]
) -> None:
    client = serve(runtime, Limits(max_body_bytes=1_000))
    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode("latin1"))]
    response = client.post("/v1/predict", content=iter([b"{}"]), headers=headers)
    assert problem(response) == expected


def test_two_lengths_of_a_body_are_refused_whatever_server_is_in_front(client: TestClient) -> None:
    headers = {**JSON, "content-length": "2", "transfer-encoding": "chunked"}
    response = client.post("/v1/predict", content=b"{}", headers=headers)
    assert problem(response) == (400, "bad_content_length")
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/nope", "/v1/predict/", "/static/..%2fapp.py", "/static/"])
def test_knows_no_other_routes(client: TestClient, path: str) -> None:
    assert problem(client.get(path)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/predict", "POST"),
        ("HEAD", "/v1/predict", "POST"),
        ("PUT", "/v1/predict", "POST"),
        ("OPTIONS", "/v1/predict", "POST"),
        ("BREW", "/v1/predict", "POST"),
        ("POST", "/healthz", "GET"),
        ("DELETE", "/", "GET"),
        ("POST", "/metrics", "GET"),
    ],
)
def test_names_the_methods_that_a_route_knows(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)
    assert response.headers["allow"].split(", ")[0] == allowed
    if method != "HEAD":
        assert problem(response) == (405, "method_not_allowed")


def test_never_explains_its_own_faults(
    client: TestClient, runtime: HashRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.fault = KeyError("the secret text")
    with caplog.at_level("DEBUG"):
        response = client.post("/v1/predict", json={"texts": ["the secret text"]})
    assert problem(response) == (500, "internal")
    assert "secret" not in response.text
    assert "secret" not in caplog.text
    assert "error=KeyError" in caplog.text
    assert response.headers["x-request-id"] in caplog.text
    assert response.headers["x-content-type-options"] == "nosniff"
    runtime.fault = None
    assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 200


def test_a_timeout_of_the_runtime_is_no_timeout_of_the_queue(
    client: TestClient, runtime: HashRuntime
) -> None:
    runtime.fault = TimeoutError()
    assert problem(client.post("/v1/predict", json={"texts": ["a"]})) == (500, "internal")


def test_probabilities_that_are_no_numbers_are_a_fault(
    client: TestClient, runtime: HashRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = runtime.scored([("a",)])
    assert outputs.scores is not None
    outputs.scores[:] = float("nan")
    monkeypatch.setattr(runtime, "run", lambda rows: outputs)
    assert problem(client.post("/v1/predict", json={"texts": ["a"]})) == (500, "internal")


GUARDED = [
    ("/predict", {"error", "error_type"}, "TeiError"),
    ("/v2/models/Tickets/infer", {"error"}, "OpenInferenceError"),
    ("/v1/embeddings", {"error"}, "OpenAiError"),
]


@pytest.mark.parametrize(("path", "names", "_model"), GUARDED)
def test_guards_refuse_in_the_json_of_the_protocol_that_is_asked(
    serve: Serve, runtime: HashRuntime, path: str, names: set[str], _model: str
) -> None:
    client = serve(runtime, Limits(max_body_bytes=100))
    answer = client.post(path, content=b"x" * 101, headers=JSON)
    assert answer.status_code == 413
    content = answer.json()
    assert set(content) == names
    if path == "/v1/embeddings":
        assert content["error"]["code"] == "body_too_large"
        assert content["error"]["type"]
    else:
        assert "100 bytes" in content["error"]


@pytest.mark.parametrize(("path", "names", "model"), GUARDED)
def test_keys_are_asked_for_in_that_json_too(
    serve: Serve, runtime: HashRuntime, path: str, names: set[str], model: str
) -> None:
    client = serve(runtime, access=Access())
    answer = client.post(path, content=b"{}", headers=JSON)
    assert (answer.status_code, set(answer.json())) == (401, names)
    template = path.replace("Tickets", "{name}")
    document = client.app.openapi()  # type: ignore[attr-defined]
    schema = document["paths"][template]["post"]["responses"]["401"]["content"]["application/json"]
    assert schema["schema"]["$ref"].endswith(f"/{model}")
    assert model in document["components"]["schemas"]
