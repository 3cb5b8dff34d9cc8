"""Requests made up from the OpenAPI document, right ones and wrong ones: never a 5xx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from .hash_runtime import ASSURED, MANY_LABELS, PAIRS, HashRuntime, make_app, wait_until_ready
from .made_up import Statuses, asked, counting

pytestmark = pytest.mark.slow

APPS = {
    "one": make_app(HashRuntime(task=ASSURED)),
    "pairs": make_app(HashRuntime(task=PAIRS)),
    "several": make_app(HashRuntime(task=MANY_LABELS)),
}
SCHEMAS = {name: schemathesis.openapi.from_dict(app.openapi()) for name, app in APPS.items()}
SERVED = {"name": "Tickets", "model": "Tickets", "version": "0123456789ab"}
# Of each protocol: what predicts, and what is looked up.
PROTOCOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "native": (("/v1/predict", "/v1/explain"), ("/v1/info", "/v1/live")),
    "tei": (("/predict",), ("/info",)),
    "open inference": (
        ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"),
        (
            *("/v2", "/v2/health/live", "/v2/health/ready"),
            *("/v2/models/{name}", "/v2/models/{name}/ready"),
            *("/v2/models/{name}/versions/{version}", "/v2/models/{name}/versions/{version}/ready"),
        ),
    ),
    "openai": (("/v1/embeddings",), ("/v1/models", "/v1/models/{name}")),
}
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


class Counted:
    """Clients of the apps, and what they were answered."""

    def __init__(self, statuses: Statuses) -> None:
        self.clients = {name: TestClient(app) for name, app in APPS.items()}
        self.statuses = statuses

    def check(self, protocol: str, name: str, case: Case) -> int:
        sent = case.as_transport_kwargs(base_url="http://testserver")
        wanted = {"method", "url", "params", "headers", "json"}
        known = {key: value for key, value in sent.items() if key in wanted and value is not None}
        if sent.get("data") is not None:
            known["content"] = sent["data"]
        response = self.clients[name].request(**known)
        self.statuses[protocol][str(response.status_code)] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            assert response.json()["error"]
        return response.status_code


@pytest.fixture(scope="module")
def counted(request: pytest.FixtureRequest) -> Iterator[Counted]:
    with counting(request) as statuses, ExitStack() as running:
        own = Counted(statuses)
        for client in own.clients.values():
            wait_until_ready(running.enter_context(client))
        yield own


def named(app: str, case: Case, is_served: bool) -> tuple[str, Case]:
    """The case, of the model that is served where it should be: made up names are never right."""
    if is_served:
        for own in (case.path_parameters, case.body):
            if isinstance(own, dict):
                own |= {name: SERVED[name] for name in SERVED if name in own}
    return app, case


def made(path: str, method: str, modes: Iterable[GenerationMode]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(
            named,
            st.just(name),
            schema[path][method].as_strategy(generation_mode=mode),
            st.sampled_from([True, True, True, False]),
        )
        for name, schema in SCHEMAS.items()
        for mode in modes
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_made_up_predictions(counted: Counted, protocol: str) -> None:
    paths, _ = PROTOCOLS[protocol]

    @asked(protocol, 0.8)
    @given(made_up=st.one_of(made(path, "POST", GenerationMode) for path in paths))
    def ask(made_up: tuple[str, Case]) -> None:
        name, case = made_up
        if counted.check(protocol, name, case) == 200:
            assert case.body is not None

    ask()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_made_up_look_ups(counted: Counted, protocol: str) -> None:
    _, paths = PROTOCOLS[protocol]

    @asked(protocol, 0.1)
    @given(made_up=st.one_of(made(path, "GET", [GenerationMode.POSITIVE]) for path in paths))
    def ask(made_up: tuple[str, Case]) -> None:
        assert counted.check(protocol, *made_up) in {200, 403, 404}

    ask()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_any_bytes(counted: Counted, protocol: str) -> None:
    (path, *_), _ = PROTOCOLS[protocol]
    headers = {"content-type": "application/json"}

    @asked(protocol, 0.1)
    @given(body=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
    def ask(body: bytes) -> None:
        response = counted.clients["one"].post(path.format(**SERVED), content=body, headers=headers)
        counted.statuses[protocol][str(response.status_code)] += 1
        assert 400 <= response.status_code < 500, response.text

    ask()
