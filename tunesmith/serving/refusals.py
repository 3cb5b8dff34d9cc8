"""Why a request is not answered, in words that know no HTTP."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tunesmith.errors import InputError

__all__ = ["Code", "Overloaded", "Refused"]

Code: TypeAlias = Literal[
    "bad_content_length",
    "body_too_large",
    "body_too_slow",
    "client_gone",
    "cross_origin",
    "empty_text",
    "headers_too_large",
    "host_not_allowed",
    "insufficient_scope",
    "internal",
    "invalid_http",
    "invalid_request",
    "invalid_text",
    "method_not_allowed",
    "no_embeddings",
    "not_found",
    "not_json",
    "not_ready",
    "overloaded",
    "quota_exceeded",
    "text_too_long",
    "timed_out",
    "too_many_connections",
    "too_many_failures",
    "too_many_texts",
    "unauthorized",
    "unsupported_encoding",
    "unsupported_media_type",
]
"""A fault's stable name, for programs; its message is for people."""


class Refused(InputError):  # noqa: N818 - says what happened to the request, as `Interrupted` does
    """A request that is not answered.

    Attributes:
        code: the fault's stable name.
    """

    def __init__(self, code: Code, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what, where=where, mend=mend)
        self.code: Code = code

    @property
    def message(self) -> str:
        """What is wrong, where, and how to mend it, on one line."""
        fault = self.faults[0]
        text = f"{fault.where}: {fault.what}" if fault.where else fault.what
        return f"{text}; {fault.mend}" if fault.mend else text


class Overloaded(Refused):
    """The server cannot answer now and may later.

    Attributes:
        retry_after_s: whole seconds after which to ask again.
    """

    def __init__(self, code: Code, what: str, *, retry_after_s: int, mend: str = "") -> None:
        super().__init__(code, what, mend=mend)
        self.retry_after_s = retry_after_s
