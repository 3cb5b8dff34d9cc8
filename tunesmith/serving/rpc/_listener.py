"""A gRPC server on the event loop of the HTTP server."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ConfigError, MissingDependencyError, OutputError
from tunesmith.events import log_event
from tunesmith.serving.catalogue import Catalogue
from tunesmith.serving.limits import Limits
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.security import Access, Tls

if TYPE_CHECKING:
    import grpc
    from opentelemetry.trace import Tracer

__all__ = ["RpcAddress", "RpcListener", "require_grpc"]


@dataclass(frozen=True, slots=True)
class RpcAddress:
    """Where gRPC is spoken.

    Attributes:
        host: a name or an address of this machine.
        port: 0 picks a free one.
    """

    host: str
    port: int


def require_grpc() -> None:
    """Makes sure, before anything is loaded, that the extra is there.

    Raises:
        MissingDependencyError: it is not.
    """
    missing = [name for name in ("grpc", "open_inference.grpc") if not _is_there(name)]
    if missing:
        raise MissingDependencyError(
            f"gRPC needs {', '.join(missing)}, which is not installed",
            where="--grpc-port",
            mend="pip install 'tunesmith[grpc]'",
        )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package above it
        return False


class RpcListener:
    """Answers by gRPC between `start` and `stop`, both on the loop that the data planes are on."""

    def __init__(
        self,
        address: RpcAddress,
        catalogue: Catalogue,
        *,
        access: Access | None,
        limits: Limits,
        metrics: ServingMetrics,
        tls: Tls | None,
        tracer: Tracer | None = None,
    ) -> None:
        """Does nothing yet.

        Args:
            address: where to listen.
            catalogue: what is served.
            access: who may use it; None: everyone.
            limits: the caps on requests.
            metrics: where they are counted.
            tls: the certificate; None: plain HTTP/2.
            tracer: makes a span of each call; None: there are no traces.
        """
        self._address = address
        self._catalogue = catalogue
        self._access = access
        self._limits = limits
        self._metrics = metrics
        self._tls = tls
        self._tracer = tracer
        self._server: grpc.aio.Server | None = None

    async def start(self) -> str:
        """Listens, and gives the address, HOST:PORT.

        Raises:
            OutputError: the port is taken or not permitted.
        """
        import grpc

        from tunesmith.serving.rpc._calls import Calls
        from tunesmith.serving.rpc._service import methods

        calls = Calls(
            methods(self._catalogue),
            access=self._access,
            limits=self._limits,
            metrics=self._metrics,
            tracer=self._tracer,
        )
        server = grpc.aio.server(
            handlers=[calls],
            options=_options(self._limits),
            maximum_concurrent_rpcs=self._limits.max_connections,
        )
        host = self._address.host
        target = f"[{host}]:{self._address.port}" if ":" in host else f"{host}:{self._address.port}"
        try:
            if self._tls is None:
                port = server.add_insecure_port(target)
            else:
                port = server.add_secure_port(target, _credentials(self._tls))
        except RuntimeError as error:
            raise OutputError(
                "cannot listen", where=f"--grpc-port {self._address.port}", mend="--grpc-port 0"
            ) from error
        await server.start()
        self._server = server
        return f"{host}:{port}"

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls, and answers those that have come in for so long.

        Who calls it again meanwhile, with less time, ends them then.
        """
        if self._server is not None:
            await self._server.stop(grace_s)


def _options(limits: Limits) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        ("grpc.max_metadata_size", limits.max_header_bytes),
        ("grpc.server_handshake_timeout_ms", int(limits.header_timeout_s * 1000)),
        ("grpc.so_reuseport", 0),  # else two servers could share the port
    ]


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    """The same files as HTTP's; read again where they have changed and can be used."""
    import grpc

    last = tls.pem()

    def configuration(pem: Any) -> Any:
        return grpc.ssl_server_certificate_configuration(
            [(pem.key, pem.certificate)], root_certificates=pem.client_authorities
        )

    def newer() -> Any:
        nonlocal last
        try:
            pem = tls.pem()
        except ConfigError as error:  # encrypted since: what was read before goes on
            log_event(logging.ERROR, "tls_unusable", fault=error.faults[0].what)
            return None
        if pem == last:
            return None
        last = pem
        return configuration(pem)

    wanted = last.client_authorities is not None
    return grpc.dynamic_ssl_server_credentials(
        configuration(last), newer, require_client_authentication=wanted
    )
