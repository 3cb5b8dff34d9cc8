"""From an app to a listening process."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from tunesmith.errors import OutputError
from tunesmith.serving.app import LOOPBACK_HOSTS

__all__ = ["allowed_hosts", "check_address", "run"]

_DRAIN_S = 30
_MAX_CONNECTIONS = 512


def check_address(host: str, port: int, *, insecure: bool = False) -> None:
    """Finds out, before a model is loaded, whether the server may and can listen here.

    Args:
        host: a name or an address of this machine.
        port: 0 stands for any free port.
        insecure: whether the user accepts that everyone who reaches the machine can use the model.

    Raises:
        OutputError: the port is taken or not permitted, the host is none of this machine's, or is
            reached from outside and `insecure` is not set.
    """
    if not insecure and not _is_loopback(host):
        raise OutputError(
            "binding beyond loopback without TLS and access control needs --insecure",
            where=f"--host {host}",
            mend="--host 127.0.0.1, with a proxy in front that does TLS and access control",
        )
    _bind(host, port).close()


def allowed_hosts(host: str) -> tuple[str, ...] | None:
    """What `create_app` should take for a server on `host`: only loopback's names can be known."""
    if not _is_loopback(host):
        return None
    return (*LOOPBACK_HOSTS, f"[{host}]" if ":" in host else host)


def run(
    app: ASGIApp, *, host: str, port: int, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serves until SIGINT or SIGTERM, then answers what has come in and returns.

    Args:
        app: the application.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        on_ready: called with the base URL once connections are accepted.

    Raises:
        OutputError: the port is taken or not permitted.
    """
    listener = _bind(host, port)
    config = uvicorn.Config(
        app,
        access_log=False,
        date_header=True,
        limit_concurrency=_MAX_CONNECTIONS,
        log_level="warning",
        # Forwarded headers are a proxy's word, and nobody has vouched for the proxy.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        ws="none",
    )
    _Server(config, _base_url(host, listener.getsockname()[1]), on_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells when it is ready, and returns after a signal where uvicorn would raise it again."""

    def __init__(
        self, config: uvicorn.Config, url: str, on_ready: Callable[[str], None] | None
    ) -> None:
        super().__init__(config)
        self._url = url
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and self._on_ready is not None:
            self._on_ready(self._url)

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


def _is_loopback(host: str) -> bool:
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True  # an unknown host is no danger; `_bind` says what is wrong with it
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def _base_url(host: str, port: int) -> str:
    reached = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
