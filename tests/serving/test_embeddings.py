"""POST /v1/embeddings, by hand and by OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tunesmith.serving import Limits
from tunesmith.serving.security import Access, KeyFile, Quota
from tunesmith.types import Outputs

from .hash_runtime import MANY_LABELS, ONE_LABEL, PAIRS, HashRuntime, make_app

Serve = Callable[..., TestClient]
NAMED = "Tickets@0123456789ab"


def wanted(runtime: HashRuntime, texts: list[str]) -> np.ndarray:
    states = runtime.states([(text,) for text in texts])
    assert states is not None
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def asked(client: TestClient, **body: object) -> Any:
    return client.post("/v1/embeddings", json=body)


@pytest.mark.parametrize("task", [ONE_LABEL, MANY_LABELS])
def test_gives_vectors_of_length_one_in_order(serve: Serve, task: Any) -> None:
    runtime = HashRuntime(task=task)
    texts = [f"{'word ' * (length % 13)}number {length}" for length in range(100)]
    answer = asked(serve(runtime), model="Tickets", input=texts).json()
    assert (answer["object"], answer["model"]) == ("list", NAMED)
    assert [(one["object"], one["index"]) for one in answer["data"]] == [
        ("embedding", index) for index in range(100)
    ]
    vectors = np.array([one["embedding"] for one in answer["data"]])
    assert np.abs(vectors - wanted(runtime, texts)).max() < 1e-6
    num_tokens = sum(runtime.count_tokens([(text,) for text in texts]))
    assert answer["usage"] == {"prompt_tokens": num_tokens, "total_tokens": num_tokens}


def test_one_text_and_base64(client: TestClient, runtime: HashRuntime) -> None:
    body = {"input": "a b c", "model": NAMED, "user": "me", "dimensions": 3}
    plain = asked(client, **body).json()["data"]
    packed = asked(client, **body, encoding_format="base64").json()["data"]
    values = np.frombuffer(base64.b64decode(packed[0]["embedding"]), dtype="<f4")
    assert np.array_equal(values, np.array(plain[0]["embedding"], dtype=np.float32))
    assert np.abs(values - wanted(runtime, ["a b c"])[0]).max() < 1e-6


def test_shares_batches_with_predictions(serve: Serve) -> None:
    """One data plane: both kinds go through the model together."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    from tunesmith.serving._speed import Speed
    from tunesmith.serving.batcher import Batcher

    runtime = HashRuntime()
    client = serve(runtime)
    batcher = client.app.state.catalogue.find().plane._queue._batcher  # type: ignore[attr-defined]
    assert isinstance(batcher, Batcher)
    batcher._speed = Speed({16: {1: 1.0, 2: 1.1, 4: 1.2}})
    runtime.gate = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(client.post, "/v1/predict", json={"texts": ["busy now"]})
        assert runtime.started.wait(10)
        both = [
            pool.submit(client.post, "/v1/predict", json={"texts": ["where is it"]}),
            pool.submit(asked, client, input=["where was it"]),
        ]
        while len(batcher._waiting) < 2:
            threading.Event().wait(0.005)
        runtime.gate.set()
        answers = [one.result().json() for one in (*both, first)]
    assert [len(batch) for batch in runtime.batches] == [1, 2]
    assert answers[0]["predictions"] == [runtime.predict(["where is it"])[0].as_dict()]
    vector = answers[1]["data"][0]["embedding"]
    assert np.abs(vector - wanted(runtime, ["where was it"])[0]).max() < 1e-6


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"input": []}, 422, "input: is empty"),
        ({"input": ""}, 422, "input[0]: the text is empty"),
        ({"input": ["a", " "]}, 422, "input[1]: the text is empty"),
        ({"input": [1, 2]}, 422, "input: must be a text or a list of texts; token ids"),
        ({"input": [[1, 2]]}, 422, "input: must be a text or a list of texts; token ids"),
        ({"input": {"a": 1}}, 422, "input.str: must be text"),
        ({"model": "Tickets"}, 422, "input: is missing"),
        ({"input": "a", "model": "other"}, 404, "there is no model of this name"),
        ({"input": "a", "model": "Tickets@000"}, 404, "there is no such version"),
        ({"input": "a", "dimensions": 2}, 422, "dimensions: the model's vectors have 3 values"),
        ({"input": "a", "encoding_format": "int8"}, 422, "encoding_format: must be float or"),
        ({"input": "a", "truncate": True}, 422, "truncate: is not known here"),
        ({"input": "a " * 17}, 413, "input[0]: has 17 tokens, and the model reads 16"),
        ({"input": ["a"] * 5}, 413, "input: 5 texts are too many for one request"),
    ],
)
def test_wrong_requests_are_refused_in_their_words(
    serve: Serve, body: dict[str, object], status: int, message: str
) -> None:
    runtime = HashRuntime()
    answer = asked(serve(runtime, Limits(max_texts=4)), **body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"].startswith(message)
    assert (error["type"], error["param"]) == ("invalid_request_error", None)
    assert runtime.batches == []


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (HashRuntime(embedding_size=None), "the runtime hash-fp32 gives no embeddings"),
        (HashRuntime(task=PAIRS), "the model reads 2 texts together (question, answer)"),
    ],
)
def test_where_there_are_none_it_says_what_to_do(
    serve: Serve, runtime: HashRuntime, message: str
) -> None:
    answer = asked(serve(runtime), input="a")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "no_embeddings")
    assert error["message"].startswith(message)


def test_states_that_are_no_numbers_are_a_fault(serve: Serve) -> None:
    class Broken(HashRuntime):
        def run(self, rows: Any, *, beside: bool = False) -> Outputs:
            found = super().run(rows)
            assert found.states is not None
            return Outputs(scores=found.scores, states=found.states * float("nan"))

    assert asked(serve(Broken()), input="a").status_code == 500


def test_counts_and_charges_tokens(tmp_path: Any) -> None:
    key_file = KeyFile(tmp_path / "keys.json")
    _, key = key_file.create("a", scopes=("predict",), quota=Quota(tokens_per_day=4))
    headers = {"authorization": f"Bearer {key}"}
    with TestClient(make_app(HashRuntime(), access=Access(key_file))) as client:
        statuses = [
            client.post("/v1/embeddings", json={"input": "a b c"}, headers=headers).status_code
            for _ in range(3)
        ]
        assert statuses == [200, 200, 429]
        assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 401


def test_information_says_how_long_they_are(client: TestClient) -> None:
    assert client.get("/v1/info").json()["embedding_size"] == 3


def test_the_official_client(serve: Serve) -> None:
    openai = pytest.importorskip("openai", reason="OpenAI's client is not installed")
    runtime = HashRuntime()
    http = serve(runtime)
    client = openai.OpenAI(api_key="any", base_url="http://testserver/v1", http_client=http)
    texts = ["where is my parcel", "thanks"]
    for more in ({}, {"encoding_format": "float"}, {"dimensions": 3}):
        found = client.embeddings.create(model="Tickets", input=texts, **more)
        vectors = np.array([one.embedding for one in found.data])
        assert np.abs(vectors - wanted(runtime, texts)).max() < 1e-6
        assert (found.model, found.usage.total_tokens) == (NAMED, 5)
    assert client.models.list().data[0].id == "Tickets"
    with pytest.raises(openai.UnprocessableEntityError, match="vectors have 3 values"):
        client.embeddings.create(model="Tickets", input="a", dimensions=2)
    with pytest.raises(openai.NotFoundError, match="no model of this name"):
        client.embeddings.create(model="other", input="a")
