"""A connection that waits for nobody for ever, and answers every fault in the one shape."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tunesmith.serving._gathered import GatheredWrites
from tunesmith.serving.limits import Limits
from tunesmith.serving.middleware import SECURITY_HEADERS, new_request_id
from tunesmith.serving.problems import problem
from tunesmith.serving.refusals import Code

__all__ = ["Connection"]

_LAST_WORDS_S = 5.0


class Connection(H11Protocol):
    """uvicorn's, with a clock on what uvicorn waits for without one.

    These are the headers of a request (slowloris), a client that does not read its answer, and the
    end of a connection that is being closed. An answer's head and body leave in one piece.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._head_clock: asyncio.TimerHandle | None = None
        self._write_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        gathered: Any = GatheredWrites(transport, self.loop)
        super().connection_made(gathered)
        if len(self.connections) > self._limits.max_connections:
            self._refuse("too_many_connections", "too many connections are open; ask again later")
            return
        self._head_clock = self.loop.call_later(self._limits.header_timeout_s, gathered.abort)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_answering():
            self._stop(self._head_clock)
            self._head_clock = None
        elif self._head_clock is None and not self.transport.is_closing():
            wait_s = self._limits.header_timeout_s
            self._head_clock = self.loop.call_later(wait_s, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._head_clock)
        self._stop(self._write_clock)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._write_clock = self.loop.call_later(self._limits.timeout_s, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop(self._write_clock)
        super().resume_writing()

    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_soon()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says as much
        if self._is_answering() and self.cycle.response_started:
            self.transport.close()
            self._abort_soon()
        else:
            message = (
                "this is not well-formed HTTP/1.1 (first line, Host, Content-Length, chunks), or "
                "its headers are too long"
            )
            self._refuse("invalid_http", message)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, code: Code, message: str) -> None:
        """Answers without the application, and closes."""
        request_id = new_request_id()
        answer = problem({"state": {"request_id": request_id}}, code, message)
        answer.headers.update({**SECURITY_HEADERS, "x-request-id": request_id})
        answer.headers.update({"connection": "close", "date": formatdate(usegmt=True)})
        self.transport.write(_raw(answer))
        self.transport.close()
        self._abort_soon()

    def _abort_soon(self) -> None:
        # `close` waits for what was written to be read, which may be never.
        self.loop.call_later(_LAST_WORDS_S, self.transport.abort)

    @staticmethod
    def _stop(clock: asyncio.TimerHandle | None) -> None:
        if clock is not None:
            clock.cancel()


def _raw(answer: Response) -> bytes:
    status = HTTPStatus(answer.status_code)
    head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    head += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*head, b"", bytes(answer.body)])
