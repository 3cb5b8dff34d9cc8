"""The server's log: a line a request, for people or for programs, and never a text."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from starlette.types import Scope

from tunesmith.errors import OutputError
from tunesmith.events import log_event, logger
from tunesmith.serving.problems import state_of
from tunesmith.serving.usage import usage_of

__all__ = ["LogFormat", "log_request", "logging_to"]

LogFormat: TypeAlias = Literal["json", "off", "text"]


def log_request(scope: Scope, *, route: str, status: int, size: int, seconds: float) -> None:
    """Logs a request that is over.

    Args:
        scope: the request's.
        route: the path of its route, or "unknown"; what a client made up may be a text.
        status: the status of its answer.
        size: bytes of the answer's body.
        seconds: from its first line to the end of its answer.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    state, usage = state_of(scope), usage_of(scope)
    method = state.get("method", scope["method"])
    fields: dict[str, object] = {
        "method": method if method in _METHODS else "other",
        "route": route,
        "status": status,
        "code": state.get("code") or "-",
        "bytes": size,
        "duration_ms": round(seconds * 1e3, 1),
        "texts": usage.texts,
        "tokens": usage.tokens,
        "key": state.get("key_id", "-"),
        "request_id": state["request_id"],
    }
    if state.get("body"):
        fields["body"] = bytes(state["body"]).decode("utf-8", "replace")
    log_event(logging.INFO, "request", **fields)


@contextmanager
def logging_to(kind: LogFormat, file: Path | None = None) -> Iterator[None]:
    """Writes what the server logs, for as long as the block runs.

    Args:
        kind: "text" for people, "json" for programs, "off" for faults only, as text.
        file: where to; None: standard error. It is opened again after it was moved away.

    Raises:
        OutputError: the file cannot be written.
    """
    handler = _handler(file)
    handler.setFormatter(_Json() if kind == "json" else _Text())
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if kind == "off" else logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.level, logger.propagate = before


_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class _Text(logging.Formatter):
    """A time, a level, and names with values."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname} {record.getMessage()}"


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        content: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower()}
        content |= getattr(record, "fields", None) or {"message": record.getMessage()}
        return json.dumps(content, ensure_ascii=False)


def _handler(file: Path | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(sys.stderr)
    try:
        return logging.handlers.WatchedFileHandler(file, encoding="utf-8")
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise OutputError(what, where=f"--log-file {file}", mend="choose another file") from error


def _time(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"
