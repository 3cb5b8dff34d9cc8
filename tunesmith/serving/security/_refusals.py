"""The answers to those who have no key, or guess at one."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from tunesmith.serving.problems import problem

__all__ = ["CHALLENGE", "INVALID_REQUEST", "client_address", "too_many_failures", "wrong_key"]

CHALLENGE = 'Bearer realm="tunesmith"'
INVALID_REQUEST = f'{CHALLENGE}, error="invalid_request"'  # RFC 6750, 3.1
_WRONG = f'{CHALLENGE}, error="invalid_token"'


def client_address(scope: Scope) -> str:
    """The address that a request came from; of a proxy that is trusted, the one that it tells."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def too_many_failures(scope: Scope, wait_s: int) -> Response:
    """The answer to an address that guesses."""
    message = f"too many wrong keys from this address; ask again in {wait_s} s"
    return problem(scope, "too_many_failures", message, {"retry-after": str(wait_s)})


def wrong_key(scope: Scope, *, more: str = "") -> Response:
    """The answer to a key that opens nothing; it does not say which of the reasons holds."""
    message = f"this key is not known, has expired or was revoked{more}"
    return problem(scope, "unauthorized", message, {"www-authenticate": _WRONG})
