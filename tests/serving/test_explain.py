"""POST /v1/explain: what each word adds, by the served model's own answers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.explanation import Explainer
from tunesmith.serving import Limits
from tunesmith.types import Dataset, Outputs

from .hash_runtime import ASSURED, LABELS, MANY_LABELS, ONE_LABEL, PAIRS, HashRuntime

Serve = Callable[..., TestClient]


def explained(client: TestClient, *texts: object, **asked: object) -> list[dict]:
    response = client.post("/v1/explain", json={"texts": list(texts), **asked})
    assert response.status_code == 200, response.text
    return response.json()["explanations"]


def by_explanation(runtime: HashRuntime, texts: list[str], label: str | None) -> list[list[float]]:
    """What `tunesmith.explanation` says of the same model."""
    import numpy as np

    explainer = Explainer.of_function(
        lambda inputs: np.asarray(runtime.task.probabilities(runtime.scored(inputs))), runtime.task
    )
    rows = np.arange(1, len(texts) + 1)
    found = explainer.explain(Dataset((texts,), None, rows), label=label)
    return [[word.attribution for word in one.explanations[0].words] for one in found]


@pytest.mark.parametrize("task", [ONE_LABEL, MANY_LABELS])
@pytest.mark.parametrize("label", [None, "praise"])
def test_says_what_leave_one_out_says(serve: Serve, task: object, label: str | None) -> None:
    runtime = HashRuntime(task=task)  # type: ignore[arg-type]
    texts = ["where is it", "my parcel, twice!", "one"]
    found = explained(serve(runtime), *texts, label=label)
    for one, wanted in zip(found, by_explanation(runtime, texts, label), strict=True):
        if label is not None or task is ONE_LABEL:
            assert [word["attribution"] for word in one["words"]] == pytest.approx(wanted, abs=1e-5)
    predictions = runtime.predict(texts)
    for one, prediction in zip(found, predictions, strict=True):
        likeliest = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
        assert one["label"] == (label or likeliest)
        probability = prediction.probabilities[one["label"]]
        assert one["probability"] == pytest.approx(probability, abs=1e-6)
        odds = math.log(probability / (1 - probability))
        assert one["log_odds"] == pytest.approx(odds, abs=1e-4)


def test_words_stand_where_it_says(serve: Serve) -> None:
    text = "  Où est 👩‍🚀 — don't!! "
    (one,) = explained(serve(HashRuntime()), text)
    assert [word["text"] for word in one["words"]] == ["Où", "est", "👩‍🚀", "—", "don't", "!!"]
    for word in one["words"]:
        assert text[word["start"] : word["end"]] == word["text"]
        assert word["field"] == "text"


def test_words_of_a_pair_name_their_field(serve: Serve) -> None:
    (one,) = explained(serve(HashRuntime(task=PAIRS)), {"question": "why so", "answer": "because"})
    assert [(word["field"], word["text"]) for word in one["words"]] == [
        ("question", "why"),
        ("question", "so"),
        ("answer", "because"),
    ]


def test_what_is_cut_has_no_words(serve: Serve) -> None:
    runtime = HashRuntime(max_length=5)
    client = serve(runtime)
    text = "a b c d e f g h"
    response = client.post("/v1/explain", json={"texts": [text, "a b"]}).json()
    assert response["warnings"] == ["texts[0]: 8 tokens, only the first 5 were read"]
    first, second = response["explanations"]
    assert [word["text"] for word in first["words"]] == list("abcde")
    assert len(second["words"]) == 2
    wanted = by_explanation(runtime, ["a b c d e"], first["label"])[0]
    assert [word["attribution"] for word in first["words"]] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("question", "answer"), [(3, 40), (40, 3), (30, 30)])
def test_both_texts_of_a_pair_are_cut_alike(serve: Serve, question: int, answer: int) -> None:
    client = serve(HashRuntime(task=PAIRS, max_length=16))
    (one,) = explained(client, [" ".join("q" * question), " ".join("a" * answer)])
    lengths = [
        sum(word["field"] == name for word in one["words"]) for name in ("question", "answer")
    ]
    assert lengths == {(3, 40): [3, 13], (40, 3): [13, 3], (30, 30): [8, 8]}[question, answer]


def test_one_word_longer_than_the_model_reads_is_a_word_still(serve: Serve) -> None:
    class Letters(HashRuntime):
        def tokens(self, inputs: object) -> list[str]:
            return [letter for text in inputs for letter in str(text)]  # type: ignore[attr-defined]

    (one,) = explained(serve(Letters(max_length=4)), "abcdefgh ijk")
    assert [word["text"] for word in one["words"]] == ["abcdefgh"]


def test_many_words_are_taken_together(serve: Serve) -> None:
    runtime = HashRuntime(max_length=100)
    client = serve(runtime, Limits(explained_words=4))
    response = client.post("/v1/explain", json={"texts": ["a b c d e f g h i"]}).json()
    assert response["warnings"] == ["texts[0]: of so many words, 3 at a time are taken together"]
    (one,) = response["explanations"]
    assert [word["text"] for word in one["words"]] == ["a b c", "d e f", "g h i"]
    assert sum(map(len, runtime.batches)) == 4


def test_asks_in_batches_and_counts_what_the_model_reads(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, Limits(batch_texts=3))
    explained(client, "a b c d e")
    assert sum(map(len, runtime.batches)) == 6
    assert max(map(len, runtime.batches)) <= 3
    metrics = client.get("/metrics").text
    assert 'tunesmith_tokens_total{model="Tickets",version="0123456789ab"} 25.0' in metrics


def test_keeps_within_the_limits(serve: Serve) -> None:
    client = serve(HashRuntime(), Limits(explained_texts=2, max_characters=10))
    refused = client.post("/v1/explain", json={"texts": ["a", "b", "c"]})
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "too_many_texts"
    assert "at most 2" in refused.json()["error"]["message"]
    assert client.post("/v1/explain", json={"texts": ["a" * 11]}).status_code == 413


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"texts": ["a"], "label": "no such"}, "label: the model has no such label"),
        ({"texts": ["a"], "label": 3}, "label: must be text"),
        ({"texts": []}, "texts: is empty"),
        ({"texts": [" "]}, "texts[0]: the text is empty"),
        ({"texts": ["a"], "top_k": 3}, "top_k: is not known here"),
        ({"label": "praise"}, "texts: is missing"),
    ],
)
def test_wrong_requests_are_refused(client: TestClient, body: object, message: str) -> None:
    response = client.post("/v1/explain", json=body)
    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith(message)


def test_what_is_too_late_is_refused(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, Limits(timeout_s=0.05))
    runtime.gate = threading.Event()
    response = client.post("/v1/explain", json={"texts": ["a b"]})
    runtime.gate.set()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "timed_out")


def test_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/explain"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["texts"]["maxItems"] == 8
    assert schema["properties"]["label"]["anyOf"][0]["enum"] == list(LABELS)
    assert set(operation["responses"]) == {
        "200",
        "400",
        "403",
        "404",
        "408",
        "413",
        "415",
        "422",
        "503",
    }


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_any_text_is_explained_or_refused(client: TestClient, text: str) -> None:
    response = client.post("/v1/explain", json={"texts": [text]})
    if response.status_code == 422:
        assert response.json()["error"]["code"] == "empty_text"
        return
    (one,) = response.json()["explanations"]
    ends = [0, *(word["end"] for word in one["words"])]
    starts = [*(word["start"] for word in one["words"]), len(text)]
    assert all(not text[end:start].strip() for end, start in zip(ends, starts, strict=True))
    assert all(math.isfinite(word["attribution"]) for word in one["words"])


def test_scores_that_are_no_numbers_are_a_fault(serve: Serve) -> None:
    class Broken(HashRuntime):
        def run(self, rows: object, *, beside: bool = False) -> Outputs:
            found = super().run(rows)  # type: ignore[arg-type]
            assert found.scores is not None
            return Outputs(scores=found.scores * float("nan"))

    assert serve(Broken()).post("/v1/explain", json={"texts": ["a"]}).status_code == 500


@pytest.mark.parametrize("task", [ONE_LABEL, MANY_LABELS, PAIRS])
def test_predictions_bring_their_explanations(serve: Serve, task: object) -> None:
    client = serve(HashRuntime(task=task, max_length=5))  # type: ignore[arg-type]
    texts: list[object] = ["where is it", "a b c d e f g", "one"]
    if task is PAIRS:
        texts = [[text, "because of it"] for text in texts]
    plain = client.post("/v1/predict", json={"texts": texts, "top_k": 2}).json()
    asked = {"texts": texts, "top_k": 2, "explain": True}
    both = client.post("/v1/predict", json=asked).json()
    assert [one.pop("explanation") for one in both["predictions"]] == explained(client, *texts)
    assert both == plain
    assert both["warnings"]


def test_predictions_are_explained_by_pieces_and_with_other_options(serve: Serve) -> None:
    client = serve(HashRuntime(task=ASSURED), Limits(explained_words=2))
    body = {"texts": ["a b c"], "explain": True, "precision": 0.9, "coverage": 0.8, "scope": True}
    answer = client.post("/v1/predict", json=body).json()
    assert answer["warnings"] == ["texts[0]: of so many words, 2 at a time are taken together"]
    (one,) = answer["predictions"]
    assert [word["text"] for word in one["explanation"]["words"]] == ["a b", "c"]
    assert {"abstained", "label_set", "in_scope"} <= set(one)


def test_predictions_are_explained_within_the_limits(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, Limits(explained_texts=2))
    refused = client.post("/v1/predict", json={"texts": ["a", "b", "c"], "explain": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_many_texts")
    assert refused.json()["error"]["message"] == (
        "texts: 3 texts are too many to explain in one request; send at most 2 at once"
    )
    assert runtime.batches == []
    wrong = client.post("/v1/predict", json={"texts": ["a"], "explain": "yes"})
    assert wrong.json()["error"]["message"].startswith("explain: must be true or false")
    client.post("/v1/predict", json={"texts": ["a b c d e"], "explain": True})
    metrics = client.get("/metrics").text
    assert 'tunesmith_tokens_total{model="Tickets",version="0123456789ab"} 25.0' in metrics


def test_explained_predictions_that_are_too_late_are_refused(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, Limits(timeout_s=0.05))
    runtime.gate = threading.Event()
    response = client.post("/v1/predict", json={"texts": ["a b"], "explain": True})
    runtime.gate.set()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "timed_out")
