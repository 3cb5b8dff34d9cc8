"""Which routes are open, and what the others need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tunesmith.serving.security._keys import Scope

__all__ = ["LOGIN", "LOGIN_FILES", "ScopeOf", "admin_scope", "is_open", "main_scope"]

ScopeOf: TypeAlias = Callable[[str], Scope | None]
"""From a path to the scope that it needs; None: any key will do."""

LOGIN = "/login"
LOGIN_FILES = ("/login/login.js", "/login/page.css")
_OPEN = frozenset(
    [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", LOGIN),
        ("POST", LOGIN),
        ("DELETE", LOGIN),
        *(("GET", path) for path in LOGIN_FILES),
    ]
)
_ANY_KEY = frozenset({"/", "/docs", "/openapi.json", "/v1/info", "/v1/live"})


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no key: by its exact method and path, so nothing else slips in."""
    return (method, path) in _OPEN


def main_scope(path: str) -> Scope | None:
    """What the main listener's routes need; a route that nobody thought of needs "predict"."""
    if path in _ANY_KEY or path.startswith("/static/"):
        return None
    if path == "/metrics":
        return "metrics"
    if path == "/v1/explain" or path.startswith("/v1/explain/"):
        return "explain"
    return "predict"


def admin_scope(path: str) -> Scope | None:
    """What the admin listener's routes need."""
    return "metrics" if path == "/metrics" else "admin"
