"""A connection that waits for nobody for ever, and answers every fault in the one shape."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tunesmith.serving.limits import Limits
from tunesmith.serving.middleware import SECURITY_HEADERS, new_request_id
from tunesmith.serving.problems import problem
from tunesmith.serving.refusals import Code

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

__all__ = ["Connection"]

_LAST_WORDS_S = 5.0
_MOST_PIPELINED = 32


class Connection(HttpToolsProtocol):
    """uvicorn's on llhttp, with bounds on what that one takes without any.

    Bounded in bytes: a request's first line and headers, whatever else is no body, and what comes
    before its turn. Bounded in time: the headers of a request (slowloris), a client that does not
    read its answer, and the end of a connection that is being closed. Refused: other versions than
    1.0 and 1.1, and a request that does not name one host. Trailers are left out, as RFC 9110,
    6.5.1 lets a server.
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
        # llhttp would swallow what follows a request that closes its connection: a head that stands
        # for one with `Upgrade`, and a request after a `Connection: close` among trailers.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_keep_alive=True)
        self._limits = limits
        self._answered: RequestResponseCycle | None = None
        self._head_clock: asyncio.TimerHandle | None = None
        self._write_clock: asyncio.TimerHandle | None = None
        self._end_clock: asyncio.TimerHandle | None = None
        self._is_broken = False
        self._in_head = False
        self._idle_bytes = 0  # since a head or a piece of a body was complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._refuse("too_many_connections", "too many connections are open; ask again later")
            return
        self._head_clock = self.loop.call_later(self._limits.header_timeout_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._is_broken or self.transport.is_closing():
            return
        self._idle_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
            if self._idle_bytes > self._limits.max_header_bytes:
                raise HttpParserError
        except HttpParserError:
            self.send_400_response("")
        if self._is_answering():
            self._stop(self._head_clock)
            self._head_clock = None
        elif self._head_clock is None and not self.transport.is_closing():
            wait_s = self._limits.header_timeout_s
            self._head_clock = self.loop.call_later(wait_s, self.transport.abort)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                # llhttp takes what follows such a head for another protocol, and leaves out its
                # body. Nothing else is spoken here: the request is read as one that does not ask.
                (end,) = upgrade.args
                data = self._head_without_upgrade() + data[end:]
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._idle_bytes = 0
        if not self._may_go_on():
            raise ValueError  # which the parser makes an error of its own
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # as RFC 9110, 10.1.1 has it
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def _may_go_on(self) -> bool:
        num_hosts = sum(name == b"host" for name, _ in self.headers)
        return (
            (self.parser.get_http_version(), num_hosts) in {("1.1", 1), ("1.0", 0), ("1.0", 1)}
            and self.parser.get_method() != b"CONNECT"
            and len(self.pipeline) < _MOST_PIPELINED
        )

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        if self.pipeline:  # nobody reads it yet who would count
            waiting = sum(len(cycle.body) for cycle, _ in self.pipeline)
            if waiting + len(body) > self._limits.max_body_bytes:
                raise ValueError
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        for clock in (self._head_clock, self._write_clock, self._end_clock):
            self._stop(clock)
        super().connection_lost(exc)
        # uvicorn tells the newest request, which may wait behind the one that is answered.
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_after(self._limits.timeout_s)

    def pause_writing(self) -> None:
        self._write_clock = self.loop.call_later(self._limits.timeout_s, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop(self._write_clock)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_after(self._limits.timeout_s)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says as much
        self._is_broken = True
        if self._is_answering() and not self._is_arriving():
            # What came before was well-formed, and is answered first; then it closes.
            self.flow.pause_reading()
            self.cycle.keep_alive = False
        elif self._is_arriving() and (self.cycle.response_started or self.pipeline):
            self.transport.close()
            self._abort_after(_LAST_WORDS_S)
        else:
            message = (
                "this is not well-formed HTTP/1.1 (first line, Host, Content-Length, chunks), or "
                "its headers are too long"
            )
            self._refuse("invalid_http", message)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_arriving(self) -> bool:
        """Whether a request's body is not all there, be it answered already or not."""
        return self.cycle is not None and self.cycle.more_body

    def _refuse(self, code: Code, message: str) -> None:
        """Answers without the application, and closes."""
        request_id = new_request_id()
        answer = problem({"state": {"request_id": request_id}}, code, message)
        answer.headers.update({**SECURITY_HEADERS, "x-request-id": request_id})
        answer.headers.update({"connection": "close", "date": formatdate(usegmt=True)})
        self.transport.write(_raw(answer))
        self.transport.close()
        self._abort_after(_LAST_WORDS_S)

    def _abort_after(self, seconds: float) -> None:
        # `close` waits for what was written to be read, which may be never.
        if self._end_clock is None:
            self._end_clock = self.loop.call_later(seconds, self.transport.abort)

    @staticmethod
    def _stop(clock: asyncio.TimerHandle | None) -> None:
        if clock is not None:
            clock.cancel()


def _raw(answer: Response) -> bytes:
    status = HTTPStatus(answer.status_code)
    head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    head += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*head, b"", bytes(answer.body)])
