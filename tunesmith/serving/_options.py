"""How a server is to be guarded, as far as a user says so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import ConfigError, Fault
from tunesmith.serving.access_log import LogFormat
from tunesmith.serving.app import LOOPBACK_HOSTS
from tunesmith.serving.rpc import require_grpc
from tunesmith.serving.security import (
    Access,
    KeyFile,
    Tls,
    TlsFiles,
    default_key_file,
    read_networks,
)
from tunesmith.serving.server import allowed_hosts, check_address, is_loopback

__all__ = ["Security"]


@dataclass(frozen=True, slots=True)
class Security:
    """Who may reach a server, and over what.

    Attributes:
        keys: the key file; None: the user's own (`default_key_file`). Where that holds no active
            key, one is made for this start.
        no_auth: whether everyone may use the server without a key; on loopback only.
        insecure: whether to listen beyond loopback without TLS.
        tls: the certificate's files; None: plain HTTP.
        trusted_proxies: addresses or networks whose X-Forwarded-For and -Proto are believed.
        hosts: further names that the Host header may hold.
        admin_host: where the admin listener listens.
        admin_port: its port, 0 for any free one; None: there is none.
        grpc_port: of gRPC on the main listener's host, 0 for any free one; None: there is none.
        log_format: how requests are logged.
        log_file: where to; None: standard error.
        log_texts: whether the log holds the bodies of requests, unmasked.
    """

    keys: Path | None = None
    no_auth: bool = False
    insecure: bool = False
    tls: TlsFiles | None = None
    trusted_proxies: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    admin_host: str = "127.0.0.1"
    admin_port: int | None = None
    grpc_port: int | None = None
    log_format: LogFormat = "off"
    log_file: Path | None = None
    log_texts: bool = False

    def check(self, host: str, port: int) -> None:
        """Finds, before anything is loaded, what cannot be or must not be.

        Raises:
            ConfigError: options contradict one another.
            OutputError: an address cannot or may not be listened on.
        """
        addresses = [("--host", host, port)]
        if self.admin_port is not None:
            addresses.append(("--admin-host", self.admin_host, self.admin_port))
        if self.grpc_port is not None:
            require_grpc()
            addresses.append(("--grpc-port", host, self.grpc_port))
        faults = [
            Fault(
                "beyond loopback a server wants a key from everyone",
                where=f"--no-auth {option} {name}",
                mend="leave out --no-auth; tunesmith keys create makes keys",
            )
            for option, name, _ in addresses
            if self.no_auth and not is_loopback(name)
        ]
        listened = [(name, number) for _, name, number in addresses if number]
        for name, number in sorted({one for one in listened if listened.count(one) > 1}):
            options = "--port, --admin-port, --grpc-port"
            what = f"two listeners cannot share port {number} of {name}"
            faults.append(Fault(what, where=options, mend="give each a port of its own"))
        if self.no_auth and self.keys is not None:
            faults.append(Fault("a key file has no use without keys", where="--no-auth --keys"))
        if self.log_texts and self.log_format == "off":
            faults.append(Fault("nothing is logged", where="--log-texts", mend="--log-format json"))
        if faults:
            raise ConfigError.of(faults)
        read_networks(self.trusted_proxies)
        for _, name, number in addresses:
            check_address(name, number, insecure=self.insecure or self.tls is not None)

    def access(self) -> Access | None:
        """Who may use the server; None: everyone.

        Raises:
            ConfigError: the key file is missing, cannot be read, or is none.
        """
        if self.no_auth:
            return None
        file = KeyFile(default_key_file() if self.keys is None else self.keys)
        if self.keys is not None and not file.path.exists():
            mend = f"tunesmith keys create --name NAME --keys {file.path}"
            raise ConfigError("no such key file", where=f"--keys {file.path}", mend=mend)
        return Access(file)

    def opened_tls(self) -> Tls | None:
        """The certificate, read; None where there is none.

        Raises:
            ConfigError: its files cannot be used, or not for gRPC where that is wanted.
        """
        if self.tls is None:
            return None
        tls = Tls(self.tls)
        if self.grpc_port is not None:
            tls.pem()
        return tls

    def hosts_of(self, host: str) -> Collection[str] | None:
        """The names that a listener on `host` answers to; None: all."""
        known = allowed_hosts(host)
        if known is None:
            return (*LOOPBACK_HOSTS, *self.hosts) if self.hosts else None
        return (*known, *self.hosts)
