"""Requests made up from the OpenAPI document, right ones and wrong ones: never a 5xx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from .hash_runtime import ASSURED, PAIRS, HashRuntime, make_app, wait_until_ready

pytestmark = pytest.mark.slow

APPS = {
    "one": make_app(HashRuntime(task=ASSURED)),
    "pairs": make_app(HashRuntime(task=PAIRS)),
}
SCHEMAS = {name: schemathesis.openapi.from_dict(app.openapi()) for name, app in APPS.items()}
PREDICTING = (
    *("/v1/predict", "/v1/explain", "/v1/embeddings"),
    *("/predict", "/v2/models/{name}/infer"),
)


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, TestClient]]:
    with TestClient(APPS["one"]) as one, TestClient(APPS["pairs"]) as pairs:
        for client in (one, pairs):
            wait_until_ready(client)
        yield {"one": one, "pairs": pairs}


def made(name: str, path: str, method: str, mode: GenerationMode) -> st.SearchStrategy[Case]:
    return SCHEMAS[name][path][method].as_strategy(generation_mode=mode)


predictions = st.one_of(
    made(name, path, "POST", mode).map(lambda case, name=name: (name, case))
    for name in SCHEMAS
    for path in (
        "/v1/predict",
        "/v1/explain",
        "/v1/embeddings",
        "/predict",
        "/v2/models/{name}/infer",
    )
    for mode in GenerationMode
)
operations = st.one_of(
    made("one", path, "GET", GenerationMode.POSITIVE).map(lambda case: ("one", case))
    for path in (
        *("/healthz", "/readyz", "/metrics", "/v1/info", "/v1/live", "/info", "/v1/models", "/v2"),
        *("/v2/health/live", "/v2/health/ready", "/v2/models/{name}", "/v1/models/{name}"),
    )
)


def check(client: TestClient, case: Case) -> int:
    sent = case.as_transport_kwargs(base_url="http://testserver")
    wanted = {"method", "url", "params", "headers", "json"}
    known = {key: value for key, value in sent.items() if key in wanted and value is not None}
    if sent.get("data") is not None:
        known["content"] = sent["data"]
    response = client.request(**known)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.json()["error"]
    return response.status_code


@settings(
    max_examples=1_000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(made_up=predictions)
def test_made_up_predictions(clients: dict[str, TestClient], made_up: tuple[str, Case]) -> None:
    name, case = made_up
    status = check(clients[name], case)
    if status == 200:
        assert case.body is not None


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(made_up=operations)
def test_made_up_operations(clients: dict[str, TestClient], made_up: tuple[str, Case]) -> None:
    name, case = made_up
    assert check(clients[name], case) in {200, 403, 404}


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes(clients: dict[str, TestClient], body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = clients["one"].post("/v1/predict", content=body, headers=headers)
    assert 400 <= response.status_code < 500
