"""The page and the documentation: self-contained, and safe whatever the bundle's facts hold."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tunesmith.serving.page._facts import figures

from .hash_runtime import PAIRS, HashRuntime

Serve = Callable[..., TestClient]
DETAILS = {
    "base": {"id": "all-MiniLM-L6-v2"},
    "examples": ['where\'s my "parcel"?', ["the <b>second</b>"], 3, ["too", "many"]],
    "metrics": {
        "accuracy": {"value": 0.9402, "low": 0.9312, "high": 0.9481},
        "log_loss": {"value": 0.2441, "low": 0.22, "high": 0.27},
        "labels": {"refund": {"support": 3}},
        "num_examples": 3080,
        "confidence": 0.95,
    },
}


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_asks_nothing_of_other_servers_and_holds_no_script(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    addresses = re.findall(r'(?:src|href)="([^"]*)"', response.text)
    assert addresses
    assert all(address.startswith("/") and address[1:2] != "/" for address in addresses)
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", response.text) == []


def test_its_parts_are_served(client: TestClient) -> None:
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    pages = client.get("/").text + client.get("/docs").text
    assets = set(re.findall(r'"(/static/[^"]*)"', pages))
    files = {address.partition("?")[0].rpartition("/")[2] for address in assets}
    assert files == {"docs.js", "icon.svg", "live.js", "page.css", "page.js"}
    # Scripts import the others by the same digest, so that none of them goes stale.
    digest = next(iter(assets)).partition("?")[2]
    assets |= {f"/static/{name}.js?{digest}" for name in ("dom", "explain")}
    for address in assets:
        response = client.get(address)
        assert response.status_code == 200
        kind = kinds[address.partition("?")[0].rpartition(".")[2]]
        assert response.headers["content-type"].startswith(kind)
        assert "immutable" in response.headers["cache-control"]


def test_says_what_the_model_is(serve: Serve) -> None:
    text = serve(HashRuntime(), details=DETAILS).get("/").text
    for part in ["Tickets", "0123456789ab", "Chooses one of 4 labels", "all-MiniLM-L6-v2"]:
        assert part in text
    for part in ["94.0 %", "93.1 – 94.8 %", "0.244", "3,080", "95 % intervals"]:
        assert part in text
    assert text.count('class="example"') == 2


def test_shows_a_field_for_each_text(serve: Serve) -> None:
    text = serve(HashRuntime(task=PAIRS)).get("/").text
    assert re.findall(r'<textarea id="[^"]*" name="([^"]*)"', text) == ["question", "answer"]
    assert len(re.findall(r"<label for=", text)) == 2


def test_facts_are_never_read_as_html(serve: Serve) -> None:
    evil = "<img src=x onerror=alert(1)>'\""
    details = {"base": evil, "examples": [evil], "metrics": {evil: 0.5}}
    client = serve(HashRuntime(version=evil), name=evil, details=details)
    for path in ("/", "/docs"):
        assert "<img" not in client.get(path).text
    assert "'\\u0022" not in client.get("/").text
    found = re.search(r"data-values='([^']*)'", client.get("/").text)
    assert found is not None
    assert '"' in found[1]


@pytest.mark.parametrize(
    "metrics",
    [None, "good", [1], {"accuracy": "high"}, {"accuracy": {"value": float("nan")}}, {"f1": True}],
)
def test_passes_over_what_is_no_figure(metrics: object) -> None:
    assert figures({"metrics": metrics}) == []


def test_a_plain_number_is_a_figure() -> None:
    (figure,) = figures({"metrics": {"macro_f1": 0}})
    assert (figure.name, figure.value, figure.interval) == ("Macro F1", "0.0 %", "")


def test_documents_every_route_with_a_command(client: TestClient) -> None:
    text = client.get("/docs").text
    document = client.get("/openapi.json").json()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in text
        assert f"curl http://localhost:8000{path}" in text
    assert "too_many_texts" in text
    assert "$ref" not in text
