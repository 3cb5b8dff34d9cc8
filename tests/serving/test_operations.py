"""Alive, ready, metrics, info, and the OpenAPI document."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tunesmith.serving import Limits

from .hash_runtime import LABELS, HashRuntime, make_app, wait_until_ready

VERSION = 'version="0123456789ab"'
OF = f'model="Tickets",{VERSION}'
Serve = Callable[..., TestClient]


def samples(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def labelled(name: str, **labels: str) -> str:
    """A metric as Prometheus' text has it: labels in alphabetical order."""
    shown = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
    return f"{name}{{{shown}}}"


def test_is_alive_before_it_is_ready(serve: Serve) -> None:
    runtime = HashRuntime(gate=threading.Event())
    client = serve(runtime, warm=False)
    assert runtime.started.wait(10)
    early = client.get("/readyz")
    assert (early.status_code, early.headers["retry-after"]) == (503, "1")
    assert early.json()["error"]["code"] == "not_ready"
    assert client.get("/healthz").json() == {"status": "alive"}
    assert samples(client)[f"tunesmith_ready{{{OF}}}"] == 0
    assert runtime.gate is not None
    runtime.gate.set()
    wait_until_ready(client)
    assert client.get("/readyz").json() == {"status": "ready"}
    assert samples(client)[f"tunesmith_ready{{{OF}}}"] == 1


def test_warms_up_with_the_shapes_of_traffic(serve: Serve) -> None:
    runtime = HashRuntime()
    client = serve(runtime, Limits(batch_texts=5), warm=False)
    wait_until_ready(client)
    sizes = [len(batch) for batch in runtime.batches]
    assert set(sizes) == {1, 2, 4}
    assert runtime.count_tokens(runtime.batches[-1]) == [runtime.max_length - 1]


def test_is_never_ready_when_the_warm_up_fails(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(HashRuntime(fault=RuntimeError("broken")), warm=False)
    for _ in range(20):
        threading.Event().wait(0.005)
        assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    assert "event=warm_up_failed error=RuntimeError" in caplog.text


def test_a_predict_during_the_warm_up_waits_for_it(serve: Serve) -> None:
    runtime = HashRuntime(gate=threading.Event())
    client = serve(runtime, warm=False)
    assert runtime.gate is not None
    threading.Timer(0.1, runtime.gate.set).start()
    assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 200


def test_does_not_answer_before_it_is_started(runtime: HashRuntime) -> None:
    response = TestClient(make_app(runtime)).post("/v1/predict", json={"texts": ["a"]})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_can_be_started_again(runtime: HashRuntime) -> None:
    app = make_app(runtime)
    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 200


def test_counts_what_it_does(client: TestClient) -> None:
    client.post("/v1/predict", json={"texts": ["a b c", "d " * 20]})
    client.post("/v1/predict", json={"texts": [" "]})
    client.get("/nope-1")
    client.get("/nope-2")
    found = samples(client)
    of = {"model": "Tickets", "version": "0123456789ab"}
    nobody = {"model": "", "version": ""}
    answered = labelled("tunesmith_requests_total", route="/v1/predict", status="200", **of)
    refused = labelled("tunesmith_requests_total", route="/v1/predict", status="422", **nobody)
    strayed = labelled("tunesmith_requests_total", route="unknown", status="404", **nobody)
    assert (found[answered], found[refused], found[strayed]) == (1, 1, 2)
    assert found[labelled("tunesmith_rejects_total", code="empty_text", **nobody)] == 1
    assert found[f"tunesmith_texts_total{{{OF}}}"] == 2
    assert found[f"tunesmith_tokens_total{{{OF}}}"] == 3 + 16
    assert found[f"tunesmith_cut_texts_total{{{OF}}}"] == 1
    assert found[f"tunesmith_queue_depth{{{OF}}}"] == 0
    assert found[f'tunesmith_stage_seconds_count{{model="Tickets",stage="queue",{VERSION}}}'] == 1
    assert (
        found[f'tunesmith_stage_seconds_count{{model="Tickets",stage="inference",{VERSION}}}'] == 1
    )
    assert found['tunesmith_request_seconds_count{route="/v1/predict"}'] == 2
    model = f'model="Tickets",runtime="hash-fp32",task="text-classification",{VERSION}'
    assert found[f"tunesmith_model_info{{{model}}}"] == 1


def test_two_apps_never_share_counts(serve: Serve) -> None:
    first, second = serve(HashRuntime()), serve(HashRuntime())
    first.post("/v1/predict", json={"texts": ["a"]})
    assert samples(first)[f"tunesmith_texts_total{{{OF}}}"] == 1
    assert samples(second)[f"tunesmith_texts_total{{{OF}}}"] == 0


def test_clients_cannot_make_the_metrics_grow(client: TestClient) -> None:
    client.get("/nope")
    samples(client)  # which is counted too, from the next time on
    before = len(samples(client))
    for number in range(50):
        client.request(f"METHOD{number}", f"/nope/{number}")
        client.get(f"/static/{number}")
    assert len(samples(client)) == before


def test_tells_what_is_served(serve: Serve) -> None:
    details = {"metrics": {"accuracy": {"value": 0.9}}, "bad": float("nan"), "base": {"id": "tiny"}}
    info = serve(HashRuntime(), details=details).get("/v1/info").json()
    assert info["model"] == {"name": "Tickets", "version": "0123456789ab"}
    assert info["task"]["labels"] == list(LABELS)
    assert info["runtime"] == "hash-fp32"
    assert info["max_length"] == 16
    assert info["limits"]["max_texts"] == 1_000
    assert info["details"] == {**details, "bad": None}


def test_head_is_get_without_a_body(client: TestClient) -> None:
    response = client.head("/healthz")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(client.get("/healthz").content))


def test_the_document_names_every_refusal(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    answers = document["paths"]["/v1/predict"]["post"]["responses"]
    assert set(answers) == {"200", "400", "403", "404", "408", "413", "415", "422", "503"}
    for status, answer in answers.items():
        schema = answer["content"]["application/json"]["schema"]
        if status != "200":
            assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in json.dumps(document)
