"""What proxies say about the clients behind them, believed of those that were named only."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.errors import ConfigError, Fault

__all__ = ["TrustedProxies", "read_networks"]

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """Takes the client's address and scheme out of X-Forwarded-For and X-Forwarded-Proto.

    A client may have written the first part of X-Forwarded-For itself. So it is read from its end,
    and the first address there that is no trusted proxy is the client's.
    """

    def __init__(self, app: ASGIApp, *, networks: Sequence[_Network]) -> None:
        self.app = app
        self._networks = tuple(networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and self._trusts(_address(str(client[0]))):
            headers = Headers(scope=scope)
            scope = {**scope, "client": (self._client(headers, str(client[0])), 0)}
            schemes = headers.getlist("x-forwarded-proto")
            if len(schemes) == 1 and schemes[0].strip().lower() in {"http", "https"}:
                scope["scheme"] = schemes[0].strip().lower()
        await self.app(scope, receive, send)

    def _client(self, headers: Headers, proxy: str) -> str:
        nearest = proxy
        for text in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            address = _address(text.strip())
            if address is None:
                break  # nothing further to the left can be trusted to be what it seems
            nearest = str(address)
            if not self._trusts(address):
                break
        return nearest

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )


def read_networks(given: Sequence[str]) -> tuple[_Network, ...]:
    """Networks as a user writes them ("10.0.0.0/8", "127.0.0.1").

    Raises:
        ConfigError: some are no networks.
    """
    networks: list[_Network] = []
    faults: list[Fault] = []
    for text in given:
        try:
            networks.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            mend = "an address or a network, such as 10.0.0.5 or 10.0.0.0/8"
            faults.append(Fault(str(error), where="--trusted-proxy", mend=mend))
    if faults:
        raise ConfigError.of(faults)
    return tuple(networks)


def _address(text: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
