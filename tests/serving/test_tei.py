"""Text Embeddings Inference: the documented requests, and their errors in its own words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tunesmith.serving._cache import ResultCache

from .hash_runtime import LABELS, MANY_LABELS, PAIRS, HashRuntime

Serve = Callable[..., TestClient]


def test_one_text_gives_every_label_the_likeliest_first(
    client: TestClient, runtime: HashRuntime
) -> None:
    rows = client.post("/predict", json={"inputs": "where is my refund"}).json()
    expected = runtime.predict(["where is my refund"])[0].probabilities
    assert {row["label"]: row["score"] for row in rows} == pytest.approx(dict(expected))
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


def test_a_batch_gives_a_list_for_each(client: TestClient) -> None:
    alone = [client.post("/predict", json={"inputs": text}).json() for text in ("one", "two")]
    assert client.post("/predict", json={"inputs": [["one"], ["two"]]}).json() == alone
    assert client.post("/predict", json={"inputs": ["one"]}).json() == alone[0]


def test_pairs(serve: Serve) -> None:
    client = serve(HashRuntime(task=PAIRS))
    alone = client.post("/predict", json={"inputs": ["why", "because"]}).json()
    assert client.post("/predict", json={"inputs": [["why", "because"]]}).json() == [alone]
    assert client.post("/predict", json={"inputs": "why"}).status_code == 422


def test_several_labels_and_raw_scores(serve: Serve) -> None:
    runtime = HashRuntime(task=MANY_LABELS)
    client = serve(runtime)
    rows = client.post("/predict", json={"inputs": "a b"}).json()
    assert {row["label"] for row in rows} == set(LABELS)
    raw = client.post("/predict", json={"inputs": "a b", "raw_scores": True}).json()
    scores = runtime.scored([("a b",)]).scores[0]
    assert {row["label"]: row["score"] for row in raw} == pytest.approx(
        dict(zip(LABELS, scores.tolist(), strict=True))
    )


def test_long_texts_are_cut_unless_that_is_forbidden(client: TestClient) -> None:
    long = {"inputs": "word " * 40}
    assert client.post("/predict", json=long).status_code == 200
    assert client.post("/predict", json={**long, "truncate": True}).status_code == 200
    refused = client.post("/predict", json={**long, "truncate": False})
    assert refused.status_code == 413
    assert refused.json()["error_type"] == "Validation"
    assert "inputs[0]: has 40 tokens, and the model reads 16" in refused.json()["error"]
    counted = [
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith("tunesmith_texts_total{")
    ]
    assert [line.split()[-1] for line in counted] == ["2.0"], "what is refused is not answered"


def test_long_texts_are_refused_out_of_the_cache_too(serve: Serve) -> None:
    client = serve(HashRuntime(), cache=ResultCache(10))
    long = "word " * 40
    assert client.post("/predict", json={"inputs": [[long]]}).status_code == 200
    asked = [["short"], [long], ["word " * 50]]
    refused = client.post("/predict", json={"inputs": asked, "truncate": False})
    assert (refused.status_code, "inputs[1]: has 40" in refused.json()["error"]) == (413, True)
    asked[1] = ["short too"]
    refused = client.post("/predict", json={"inputs": asked, "truncate": False})
    assert (refused.status_code, "inputs[2]: has 50" in refused.json()["error"]) == (413, True)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"inputs": ["one", "two"]}, 422, '{"inputs": [["…"], ["…"]]}'),
        ({"inputs": []}, 422, "is empty"),
        ({"inputs": [[]]}, 422, "inputs[0]"),
        ({"inputs": " "}, 422, "blanks"),
        ({}, 422, "inputs: is missing"),
        ({"inputs": "a", "truncation_direction": "Left"}, 422, "truncation_direction"),
    ],
)
def test_wrong_requests_are_refused_in_the_words_of_the_protocol(
    client: TestClient, body: object, status: int, words: str
) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == status
    assert set(response.json()) == {"error", "error_type"}
    assert words in response.json()["error"]


def test_info_says_what_is_served(client: TestClient) -> None:
    info = client.get("/info").json()
    assert (info["model_id"], info["model_sha"]) == ("Tickets", "0123456789ab")
    assert info["model_type"]["classifier"]["id2label"]["0"] == LABELS[0]
    assert info["model_type"]["classifier"]["label2id"][LABELS[3]] == 3
    assert (info["max_input_length"], info["auto_truncate"]) == (16, True)
