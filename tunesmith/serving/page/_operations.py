"""The OpenAPI document as a list that a template can print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Operation", "operations"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route.

    Attributes:
        method: upper case.
        path: the route's path.
        summary: a few words.
        description: a sentence or more.
        request: the JSON schema of the body, references resolved; None where there is no body.
        example: a body to start from; empty where there is none.
        responses: status, what it means, and the JSON schema of its body (None where not JSON).
        curl: a command that calls the route; its address is made absolute by the page.
    """

    method: str
    path: str
    summary: str
    description: str
    request: Any
    example: str
    responses: list[tuple[str, str, Any]]
    curl: str


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation of an OpenAPI 3.1 document, in its order."""
    schemas = document.get("components", {}).get("schemas", {})
    return [
        _operation(method.upper(), path, entry, schemas)
        for path, methods in document["paths"].items()
        for method, entry in methods.items()
    ]


def _operation(
    method: str, path: str, entry: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Operation:
    body = entry.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = json.dumps(body["example"], ensure_ascii=False) if "example" in body else ""
    return Operation(
        method=method,
        path=path,
        summary=entry.get("summary", ""),
        description=entry.get("description", ""),
        request=_resolved(body.get("schema"), schemas),
        example=example,
        responses=[
            (status, response.get("description", ""), _resolved(_schema(response), schemas))
            for status, response in sorted(entry.get("responses", {}).items())
        ],
        curl=_curl(path, example),
    )


def _schema(response: Mapping[str, Any]) -> Any:
    return response.get("content", {}).get("application/json", {}).get("schema")


def _curl(path: str, body: str) -> str:
    if not body:
        return f"curl http://localhost:8000{path}"
    quoted = body.replace("'", "'\\''")
    header = "-H 'content-type: application/json'"
    return f"curl http://localhost:8000{path} \\\n  {header} \\\n  -d '{quoted}'"


def _resolved(schema: Any, schemas: Mapping[str, Any]) -> Any:
    """The schema with its references to `components` put in place."""
    if isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return _resolved(schemas.get(reference.rpartition("/")[2], {}), schemas)
        return {key: _resolved(value, schemas) for key, value in schema.items() if key != "title"}
    if isinstance(schema, list):
        return [_resolved(value, schemas) for value in schema]
    return schema
