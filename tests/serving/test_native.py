"""POST /v1/predict: what comes back when all is well."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tunesmith.runtimes import answer
from tunesmith.tasks import Wanted

from .hash_runtime import ASSURED, LABELS, MANY_LABELS, PAIRS, HashRuntime

Serve = Callable[..., TestClient]


def test_answers_in_the_order_of_the_texts(client: TestClient, runtime: HashRuntime) -> None:
    texts = [f"{'word ' * (length % 13)}number {length}" for length in range(100)]
    answer = client.post("/v1/predict", json={"texts": texts}).json()
    alone = runtime.predict(texts)
    assert [one["label"] for one in answer["predictions"]] == [one.label for one in alone]
    assert answer["predictions"] == [one.as_dict() for one in alone]
    assert answer["model"] == {"name": "Tickets", "version": "0123456789ab"}
    assert "warnings" not in answer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/predict", {"texts": ["hello"]}),
        ("/v1/explain", {"texts": ["hello"]}),
        ("/predict", {"inputs": "hello"}),
        ("/v1/embeddings", {"input": "hello"}),
        (
            "/v2/models/Tickets/infer",
            {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["hello"]}]},
        ),
    ],
)
def test_names_itself_and_its_times(client: TestClient, path: str, body: object) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert re.fullmatch(
        r"queue;dur=\d+\.\d, inference;dur=\d+\.\d", response.headers["server-timing"]
    )
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"


def test_keeps_a_request_id_that_it_is_given(client: TestClient) -> None:
    kept = client.get("/healthz", headers={"x-request-id": "trace-1"})
    replaced = client.get("/healthz", headers={"x-request-id": "a b\tc" * 30})
    assert kept.headers["x-request-id"] == "trace-1"
    assert re.fullmatch("[0-9a-f]{32}", replaced.headers["x-request-id"])


def test_answers_with_several_labels(serve: Serve) -> None:
    runtime = HashRuntime(task=MANY_LABELS)
    answer = serve(runtime).post("/v1/predict", json={"texts": ["a b", "c"]}).json()
    assert answer["predictions"] == [one.as_dict() for one in runtime.predict(["a b", "c"])]
    assert set(answer["predictions"][0]) == {"labels", "probabilities"}


def test_reads_pairs_as_lists_and_as_objects(serve: Serve) -> None:
    client = serve(HashRuntime(task=PAIRS))
    texts = [["why", "because"], {"answer": "because", "question": "why"}]
    first, second = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
    assert first == second


@pytest.mark.parametrize("item", ["hi", ["hi"], {"text": "hi"}])
def test_reads_one_field_in_every_form(client: TestClient, item: object) -> None:
    answer = client.post("/v1/predict", json={"texts": ["hi", item]}).json()
    assert answer["predictions"][0] == answer["predictions"][1]


@pytest.mark.parametrize("top_k", [1, 2, 4, 10**30, None])
def test_gives_the_likeliest_only(client: TestClient, top_k: int | None) -> None:
    whole = client.post("/v1/predict", json={"texts": ["a b c"]}).json()["predictions"][0]
    cut = client.post("/v1/predict", json={"texts": ["a b c"], "top_k": top_k}).json()
    probabilities = cut["predictions"][0]["probabilities"]
    expected = sorted(whole["probabilities"].items(), key=lambda pair: -pair[1])[:top_k]
    assert sorted(probabilities.items(), key=lambda pair: -pair[1]) == expected
    assert cut["predictions"][0]["label"] == whole["label"]
    assert cut["predictions"][0]["probability"] == whole["probability"]


def test_says_which_texts_were_cut(client: TestClient) -> None:
    texts = ["short", "long " * 1_200, "word " * 16]
    answer = client.post("/v1/predict", json={"texts": texts}).json()
    assert answer["warnings"] == ["texts[1]: 1,200 tokens, only the first 16 were read"]


@pytest.mark.parametrize("text", ["a\x00b", "\x00a", "🫩", "נס", "a\u202eb", "x" * 100_000])
def test_answers_unusual_texts(client: TestClient, text: str) -> None:
    answer = client.post("/v1/predict", json={"texts": [text]})
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["label"] in LABELS


def test_of_equal_keys_the_last_counts(client: TestClient) -> None:
    body = b'{"texts": ["a"], "texts": ["b", "c"]}'
    answer = client.post("/v1/predict", content=body, headers={"content-type": "application/json"})
    assert len(answer.json()["predictions"]) == 2


@pytest.mark.parametrize("media_type", ["application/json; charset=UTF-8", "Application/JSON"])
def test_reads_every_spelling_of_the_media_type(client: TestClient, media_type: str) -> None:
    headers = {"content-type": media_type}
    answer = client.post("/v1/predict", content=b'{"texts": ["a"]}', headers=headers)
    assert answer.status_code == 200


def test_answers_say_what_is_wanted(serve: Serve) -> None:
    runtime = HashRuntime(task=ASSURED)
    client = serve(runtime)
    asked = {"texts": ["a b c", "d", "e f"], "precision": 0.9, "coverage": 0.9, "scope": True}
    wanted = Wanted(precision=0.9, coverage=0.9, scope=True)
    answers = client.post("/v1/predict", json={**asked, "top_k": 1}).json()["predictions"]
    alone = answer(runtime, asked["texts"], wanted)
    for got, own in zip(answers, alone, strict=True):
        assert len(got.pop("probabilities")) == 1
        expected = own.as_dict()
        del expected["probabilities"]
        assert got == expected
        assert {"abstained", "label_set", "in_scope"} <= set(got)
    plain = client.post("/v1/predict", json={"texts": ["a"], "scope": False}).json()
    assert set(plain["predictions"][0]) == {"label", "probability", "probabilities"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"coverage": 0.77}, "coverage: 0.77 is no level"),
        ({"precision": 2}, "precision: 2 is not between 0 and 1"),
        ({"abstain_below": "0.5"}, "abstain_below: must be a number"),
        ({"scope": 1}, "scope: must be true or false"),
        ({"abstain_below": 0.5, "precision": 0.9}, "leave abstain_below out"),
    ],
)
def test_refuses_what_it_cannot_give(serve: Serve, asked: dict[str, object], words: str) -> None:
    client = serve(HashRuntime(task=ASSURED))
    response = client.post("/v1/predict", json={"texts": ["a"], **asked})
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_request"
    assert words in response.json()["error"]["message"]


def test_a_model_without_it_says_so(client: TestClient) -> None:
    response = client.post("/v1/predict", json={"texts": ["a"], "scope": True})
    assert response.status_code == 422
    assert "was not given this when it was trained" in response.json()["error"]["message"]


def test_the_document_names_the_levels(serve: Serve, client: TestClient) -> None:
    def properties(own: TestClient) -> dict[str, dict[str, object]]:
        body = own.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]["requestBody"]
        return body["content"]["application/json"]["schema"]["properties"]

    assured = properties(serve(HashRuntime(task=ASSURED)))
    assert assured["coverage"]["enum"] == [0.8, 0.9, None]
    assert assured["precision"]["enum"] == [0.9, None]
    assert not {"coverage", "precision", "scope"} & set(properties(client))
