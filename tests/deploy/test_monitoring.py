"""Alerts and the dashboard: their queries parse, and ask for what the server gives out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .manifests import DEPLOY, ROOT, documents, metrics, routes

promql_parser = pytest.importorskip("promql_parser")

ALERTS = DEPLOY / "compose" / "prometheus" / "alerts.yaml"
RULE = DEPLOY / "kubernetes" / "components" / "monitoring" / "prometheusrule.yaml"
DASHBOARD = DEPLOY / "compose" / "grafana" / "dashboards" / "tunesmith.json"
# What Prometheus adds to every series that it reads.
SCRAPED = {"job", "instance"}
HISTOGRAM = {"le"}


def alerts() -> list[dict[str, Any]]:
    (content,) = documents(ALERTS)
    return [rule for group in content["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]  # type: ignore[no-any-return]


def queries() -> Iterator[tuple[str, str]]:
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m")
            yield f"{panel['title']}: {target['refId']}", query


def parts(query: Any) -> Iterator[Any]:
    """An expression and all that it is made of."""
    yield query
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        inner = getattr(query, name, None)
        if inner is not None:
            yield from parts(inner)
    for inner in getattr(query, "args", ()):
        yield from parts(inner)


def series(query: Any) -> list[Any]:
    return [part for part in parts(query) if isinstance(part, promql_parser.VectorSelector)]


def labels_of(name: str) -> frozenset[str] | set[str]:
    return SCRAPED if name == "up" else metrics()[name] | SCRAPED


@pytest.mark.parametrize(("where", "text"), list(queries()), ids=lambda value: value[:40])
def test_a_query_asks_for_what_there_is(where: str, text: str) -> None:
    query = promql_parser.parse(text)
    asked = series(query)
    assert asked
    for one in asked:
        for matcher in one.matchers.matchers:
            assert matcher.name in labels_of(one.name), f"{one.name} has no {matcher.name}"
    for part in parts(query):
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            for one in series(part):
                assert set(part.modifier.labels) <= labels_of(one.name)
        if isinstance(part, promql_parser.Call) and part.func.name == "rate":
            assert re.search(r"_(total|bucket|sum|count)$", series(part)[0].name)


def test_the_values_that_are_asked_for_occur() -> None:
    documented = (ROOT / "docs" / "http-api.md").read_text()
    codes = set(re.findall(r"^\| \d{3} \| `(\w+)`", documented, re.MULTILINE))
    known = {"route": routes(), "code": codes, "agrees": {"yes", "no"}, "status": {"500"}}
    asked = 0
    for _, text in queries():
        for one in series(promql_parser.parse(text)):
            for matcher in one.matchers.matchers:
                if matcher.name in known:
                    asked += 1
                    for value in matcher.value.split("|"):
                        pattern = value.replace(".+", "[^/]+")
                        assert any(re.fullmatch(pattern, own) for own in known[matcher.name]), value
    assert asked > 10


def test_alerts_say_what_to_look_at() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        grouped = [
            set(part.modifier.labels)
            for part in parts(promql_parser.parse(rule["expr"]))
            if isinstance(part, promql_parser.AggregateExpr)
        ]
        left = set.intersection(*grouped) if grouped else SCRAPED
        for text in rule["annotations"].values():
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= left


def test_both_files_hold_the_same_alerts() -> None:
    (rule,), (content,) = documents(RULE), documents(ALERTS)
    assert rule["spec"] == content


def test_the_dashboard_holds_together() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in panels()}) == len(panels())
    cells = [
        (x, y)
        for panel in panels()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie over one another"
    assert max(x for x, _ in cells) < 24
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", DASHBOARD.read_text())) - {"__rate_interval", "__all"}
    assert used == variables


def test_grafana_finds_source_and_dashboard() -> None:
    provisioning = DEPLOY / "compose" / "grafana" / "provisioning"
    (sources,) = documents(provisioning / "datasources" / "prometheus.yaml")
    (boards,) = documents(provisioning / "dashboards" / "tunesmith.yaml")
    (compose,) = documents(DEPLOY / "compose" / "compose.yaml")
    (source,), (provider,) = sources["datasources"], boards["providers"]
    assert source["url"] == "http://prometheus:9090"
    mounted = {
        volume["target"]: DEPLOY / "compose" / Path(volume["source"])
        for volume in compose["services"]["grafana"]["volumes"]
    }
    assert DASHBOARD.parent.samefile(mounted[provider["options"]["path"]])
    assert provisioning.samefile(mounted["/etc/grafana/provisioning"])
