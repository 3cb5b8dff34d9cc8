"""From an app to a listening process."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from tunesmith.errors import OutputError
from tunesmith.serving._connection import Connection
from tunesmith.serving.app import LOOPBACK_HOSTS
from tunesmith.serving.limits import Limits
from tunesmith.serving.rpc import RpcListener
from tunesmith.serving.security import Tls

__all__ = ["Listener", "allowed_hosts", "check_address", "is_loopback", "run"]

_DEFAULT_LIMITS = Limits()
_DRAIN_S = 30
_RPC_DRAIN_S = _DRAIN_S - 1  # before uvicorn cancels what it waits for
_FORCED_S = 0.1  # how soon a second signal is seen
_STARTUP_FAILED = 3  # as uvicorn itself exits
_TICKS_A_LOOK = 10  # uvicorn's are a tenth of a second


def check_address(host: str, port: int, *, insecure: bool = False) -> None:
    """Finds out, before a model is loaded, whether the server may and can listen here.

    Args:
        host: a name or an address of this machine.
        port: 0 stands for any free port.
        insecure: whether others may reach it: the server has TLS and access control, or the user
            takes the risk.

    Raises:
        OutputError: the port is taken or not permitted, the host is none of this machine's, or is
            reached from outside and `insecure` is not set.
    """
    if not insecure and not is_loopback(host):
        raise OutputError(
            "binding beyond loopback without TLS needs --insecure",
            where=f"--host {host}",
            mend="--host 127.0.0.1; or tunesmith serve with --tls-cert and --tls-key",
        )
    _bind(host, port).close()


def allowed_hosts(host: str) -> tuple[str, ...] | None:
    """What `create_app` should take for a server on `host`: only loopback's names can be known."""
    if not is_loopback(host):
        return None
    return (*LOOPBACK_HOSTS, f"[{host}]" if ":" in host else host)


@dataclass(frozen=True, slots=True)
class Listener:
    """A second app of the same process, at an address of its own.

    Attributes:
        app: the application; its lifespan is not run.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        on_ready: called with its base URL, before the main app's.
    """

    app: ASGIApp
    host: str
    port: int
    on_ready: Callable[[str], None]


def run(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], None] | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    tls: Tls | None = None,
    admin: Listener | None = None,
    rpc: RpcListener | None = None,
    on_rpc: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM, then answers what has come in and returns.

    Args:
        app: the application.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        on_ready: called with the base URL once connections are accepted.
        limits: the caps on connections.
        tls: for all listeners; None: they speak plain HTTP.
        admin: a second listener, which stops with the first.
        rpc: gRPC beside it; it starts and stops with the app.
        on_rpc: called with its address, before `on_ready`.

    Raises:
        OutputError: a port is taken or not permitted.
    """
    listener = _bind(host, port)
    try:
        beside = None if admin is None else _bind(admin.host, admin.port)
    except OutputError:
        listener.close()
        raise
    scheme = "http" if tls is None else "https"
    companion: _Companion | None = None
    if admin is not None and beside is not None:
        config = _config(admin.app, tls, lifespan="off")
        url = _base_url(scheme, admin.host, beside.getsockname()[1])
        companion = _Companion(config, beside, limits, url, admin.on_ready)
    config = _config(app, tls)
    url = _base_url(scheme, host, listener.getsockname()[1])
    server = _Server(config, listener, limits, url, on_ready, tls=tls, companion=companion)
    server.rpc, server.on_rpc = rpc, on_rpc
    server.run()
    if server.failure is not None:
        raise server.failure


def _config(
    app: ASGIApp, tls: Tls | None, lifespan: Literal["auto", "off"] = "auto"
) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        access_log=False,
        date_header=True,
        http="httptools",
        lifespan=lifespan,
        # Its own would close the handlers of whoever runs the server in their program.
        log_config=None,
        log_level="error",
        # Forwarded headers are a proxy's word; `TrustedProxies` knows whom to believe.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        ws="none",
    )
    config.load()
    config.ssl = None if tls is None else tls.context
    return config


class _Listening(uvicorn.Server):
    """Accepts from a socket that is bound already, and tells when it does."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        limits: Limits,
        url: str,
        on_ready: Callable[[str], None] | None,
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._limits = limits
        self._url = url
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """As uvicorn's, which leaves a client a whole minute for a TLS handshake."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(_STARTUP_FAILED)
        if not await self.start_beside():
            return
        handshake_s = None if self.config.ssl is None else self._limits.header_timeout_s
        accepting = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=self._listener,
            ssl=self.config.ssl,
            backlog=self.config.backlog,
            ssl_handshake_timeout=handshake_s,
        )
        self.servers = [accepting]
        self.started = True
        if self._on_ready is not None:
            self._on_ready(self._url)

    async def start_beside(self) -> bool:
        """Starts what needs the app to run; gives whether the server can go on."""
        return True

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state, limits=self._limits)


class _Companion(_Listening):
    """A listener beside the main one, which is told when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Server(_Listening):
    """The main listener; returns after a signal where uvicorn would raise it again."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        limits: Limits,
        url: str,
        on_ready: Callable[[str], None] | None,
        *,
        tls: Tls | None,
        companion: _Companion | None,
    ) -> None:
        super().__init__(config, listener, limits, url, on_ready)
        self._tls = tls
        self._companion = companion
        self._beside: asyncio.Task[None] | None = None
        self.rpc: RpcListener | None = None
        self.on_rpc: Callable[[str], None] | None = None
        self.failure: OutputError | None = None

    async def start_beside(self) -> bool:
        if self.rpc is None:
            return True
        try:
            address = await self.rpc.start()
        except OutputError as error:  # a port that was free a moment ago
            self.failure, self.should_exit = error, True
            return False
        if self.on_rpc is not None:
            self.on_rpc(address)
        return True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._companion is not None:
            self._beside = asyncio.create_task(self._companion.serve())
            while not self._companion.started and not self._beside.done():
                await asyncio.sleep(0.01)
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        if self._tls is not None and counter % _TICKS_A_LOOK == 0:
            self._tls.reload()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Beside HTTP's end; uvicorn waits for these tasks before it ends the app.
        stopping = asyncio.create_task(self._stop_rpc())
        self.server_state.tasks.add(stopping)
        stopping.add_done_callback(self.server_state.tasks.discard)
        await super().shutdown(sockets)
        await stopping
        if self._companion is not None and self._beside is not None:
            # Last, so that an operator can watch the other one drain.
            self._companion.should_exit = True
            self._companion.force_exit = self.force_exit
            await self._beside

    async def _stop_rpc(self) -> None:
        if self.rpc is None:
            return
        stopping = asyncio.create_task(self.rpc.stop(_RPC_DRAIN_S))
        while not stopping.done():
            if self.force_exit:
                await self.rpc.stop(0)
            await asyncio.wait({stopping}, timeout=_FORCED_S)
        await stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        # A second signal means that the user will not wait for open requests.
        self.force_exit = self.should_exit
        self.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    where = f"--host {host} --port {port}"
    if not 0 <= port <= 65_535:
        raise OutputError("a port is a number from 0 to 65535", where=where, mend="--port 8000")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise OutputError("no such host", where=where, mend="--host 127.0.0.1") from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere the option lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _explained(error, where) from error
    return listener


def _explained(error: OSError, where: str) -> OutputError:
    if error.errno == errno.EADDRINUSE:
        return OutputError(
            "the port is in use",
            where=where,
            mend="stop the other server, or choose another port; --port 0 picks a free one",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return OutputError(
            "this user may not listen on the port", where=where, mend="--port 8000, or any > 1023"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return OutputError(
            "the host is not an address of this machine", where=where, mend="--host 127.0.0.1"
        )
    return OutputError(f"cannot listen: {error.strerror}", where=where, mend="--port 0")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True  # an unknown host is no danger; `_bind` says what is wrong with it
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def _base_url(scheme: str, host: str, port: int) -> str:
    reached = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{reached}]:{port}" if ":" in reached else f"{scheme}://{reached}:{port}"
