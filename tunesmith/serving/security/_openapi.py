"""What the OpenAPI document says about keys."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tunesmith.serving.problems import Problem, Spellings, responses
from tunesmith.serving.security._scopes import ScopeOf, is_open

__all__ = ["document_access"]

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def document_access(app: FastAPI, scope_of: ScopeOf, spellings: Spellings) -> None:
    """Adds to the document which routes want a key, of which scope, and how they refuse one."""
    plain = app.openapi

    def refusals(path: str) -> dict[str, Any]:
        respelled = spellings.of(path)
        model = Problem if respelled is None else respelled.model
        schema = {"$ref": f"#/components/schemas/{model.__name__}"}
        return {
            str(status): {
                "description": answer["description"],
                "content": {"application/json": {"schema": schema}},
            }
            for status, answer in responses(401, 403, 429).items()
        }

    def openapi() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = _SCHEMES
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if is_open(method.upper(), path):
                    continue
                scope = scope_of(path)
                operation["security"] = [{name: [scope] if scope else []} for name in _SCHEMES]
                operation["responses"] = operation["responses"] | refusals(path)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
