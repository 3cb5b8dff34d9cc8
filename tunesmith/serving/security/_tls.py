"""TLS out of files: checked before the server starts, and read again when they change."""

from __future__ import annotations

import logging
import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tunesmith.errors import ConfigError, Fault
from tunesmith.events import log_event

__all__ = ["PASSWORD_VARIABLE", "Pem", "Tls", "TlsFiles"]

PASSWORD_VARIABLE = "TUNESMITH_TLS_KEY_PASSWORD"  # noqa: S105 - its name, not its value

# Mozilla's "intermediate" (wiki.mozilla.org/Security/Server_Side_TLS), less what has no forward
# secrecy by elliptic curves; OpenSSL chooses those of TLS 1.3 itself.
_CIPHERS = ":".join(
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ]
)
_SOON_S = 14 * 24 * 3600
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and …_NOT_YET_VALID


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a server's certificate is.

    Attributes:
        certificate: PEM: the server's own certificate, then those that lead to a known authority.
        key: PEM: its private key; None: it is in the file of the certificate.
        client_authorities: PEM: whose certificates clients must show; None: they need none.
    """

    certificate: Path
    key: Path | None = None
    client_authorities: Path | None = None

    @property
    def all(self) -> list[tuple[str, Path]]:
        """Each file, with the option that names it."""
        named = [
            ("--tls-cert", self.certificate),
            ("--tls-key", self.key),
            ("--tls-client-ca", self.client_authorities),
        ]
        return [(option, path) for option, path in named if path is not None]


@dataclass(frozen=True, slots=True)
class Pem:
    """The content of a server's files, for libraries that take no `ssl.SSLContext`."""

    certificate: bytes
    key: bytes
    client_authorities: bytes | None


class Tls:
    """A server's TLS, which follows its files.

    Attributes:
        context: for the listening socket; connections that are open keep what they began with.
        warnings: what a user should know, in sentences.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Reads the files.

        Raises:
            ConfigError: one is missing, unreadable or no PEM file, or the key is another one's.
        """
        self._files = files
        _check_files(files)
        self._seen: list[tuple[int, ...]] | None = self._signature()
        self._pem = _read_pem(files)
        self.context = _context(files)
        self.warnings = [*_open_to_all(files), *_validity(files)]

    def reload(self) -> bool:
        """Reads the certificate again if its files have changed; gives whether it did.

        What cannot be used is logged and passed over: the server goes on with what it has, and
        looks again when the files change once more. Authorities of clients that were taken out of
        their file are trusted until the next start, for OpenSSL can only add to them.
        """
        signature = self._signature()
        if signature is None or signature == self._seen:
            return False
        self._seen = signature
        try:
            # In a context of its own first: a pair that does not fit would spoil the one in use.
            _context(self._files)
            self._seen = None  # until all is well: files that change while they are read, once more
            _load(self.context, self._files)
            self._pem = _read_pem(self._files)
        except ConfigError as error:
            log_event(logging.ERROR, "tls_unusable", fault=error.faults[0].what)
            return False
        self._seen = signature if signature == self._signature() else None
        for warning in _validity(self._files):
            log_event(logging.WARNING, "tls_warning", fault=warning)
        log_event(logging.INFO, "tls_reloaded")
        return True

    def pem(self) -> Pem:
        """What the files held when they were read last.

        Raises:
            ConfigError: the key is encrypted, which only `ssl` can open.
        """
        if b"ENCRYPTED" in self._pem.key:
            raise ConfigError(
                "gRPC cannot read a key that is encrypted",
                where=f"--tls-key {self._files.key or self._files.certificate}",
                mend="give one without a password (openssl pkey), or leave out --grpc-port",
            )
        return self._pem

    def _signature(self) -> list[tuple[int, ...]] | None:
        try:
            found = [path.stat() for _, path in self._files.all]
        except OSError:
            return None  # between the removal of a file and its return
        return [(one.st_mtime_ns, one.st_size, one.st_ino) for one in found]


def _check_files(files: TlsFiles) -> None:
    faults = [fault for named in files.all for fault in _fault(*named)]
    if faults:
        raise ConfigError.of(faults)


def _fault(option: str, path: Path) -> Sequence[Fault]:
    where = f"{option} {path}"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [Fault("no such file", where=where)]
    except OSError as error:
        mend = "let the server's user read it"
        return [Fault(f"cannot be read: {error.strerror}", where=where, mend=mend)]
    wanted = b"PRIVATE KEY-----" if option == "--tls-key" else b"-----BEGIN CERTIFICATE-----"
    if wanted not in content:
        what = "private key" if option == "--tls-key" else "certificate"
        mend = "a PEM file; openssl x509 -inform der -in FILE makes one of a DER file"
        return [Fault(f"holds no {what} in PEM", where=where, mend=mend)]
    return []


def _read_pem(files: TlsFiles) -> Pem:
    authorities = files.client_authorities
    try:
        return Pem(
            files.certificate.read_bytes(),
            (files.key or files.certificate).read_bytes(),
            None if authorities is None else authorities.read_bytes(),
        )
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=f"--tls-cert {files.certificate}"
        ) from error


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load(context, files)
    if files.client_authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    certificate, key = files.certificate, files.key or files.certificate
    where = f"--tls-cert {certificate} --tls-key {key}"

    # Without a callback OpenSSL would ask for the password on the terminal.
    def password() -> str:
        return os.environ.get(PASSWORD_VARIABLE, "")

    try:
        context.load_cert_chain(certificate, key, password=password)
    except ssl.SSLError as error:
        raise _explained(error, where, key) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=where) from None
    if files.client_authorities is not None:
        try:
            context.load_verify_locations(files.client_authorities)
        except (OSError, ssl.SSLError):
            where = f"--tls-client-ca {files.client_authorities}"
            raise ConfigError("cannot be used as authorities", where=where) from None


def _explained(error: ssl.SSLError, where: str, key: Path) -> ConfigError:
    reason = error.reason or ""
    if "VALUES_MISMATCH" in reason or "TYPE_MISMATCH" in reason:
        mend = "give the key that the certificate was made with"
        return ConfigError("the key does not belong to the certificate", where=where, mend=mend)
    if b"ENCRYPTED" in key.read_bytes():
        mend = f"set {PASSWORD_VARIABLE} to its password"
        return ConfigError(
            "the key is encrypted, and the password is not right", where=where, mend=mend
        )
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        mend = "make a new one: RSA of 2,048 bits or more, or ECDSA P-256, with SHA-256"
        return ConfigError("the certificate is too weak to be used", where=where, mend=mend)
    return ConfigError(f"cannot be used: {reason.replace('_', ' ').lower()}", where=where)


def _open_to_all(files: TlsFiles) -> list[str]:
    key = files.key or files.certificate
    if os.name == "posix" and key.stat().st_mode & stat.S_IROTH:
        return [f"{key}: every user of this machine may read the private key; chmod 600 {key}"]
    return []


def _validity(files: TlsFiles) -> list[str]:
    """What is wrong with the certificate's dates, found out as a client would: by a handshake."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate vouches for itself
    client.load_verify_locations(files.certificate)
    try:
        found = _handshake(client, _context(TlsFiles(files.certificate, files.key)))
    except ssl.SSLCertVerificationError as error:
        reasons = {_EXPIRED: "has expired", _NOT_YET: "is not valid yet"}
        reason = reasons.get(error.verify_code)
        return [] if reason is None else [f"{files.certificate}: the certificate {reason}"]
    except ssl.SSLError:
        return []  # what else is odd about it, clients judge by what they trust
    ends = ssl.cert_time_to_seconds(str(found["notAfter"]))
    if ends - datetime.now(UTC).timestamp() > _SOON_S:
        return []
    day = datetime.fromtimestamp(ends, UTC).date().isoformat()
    return [f"{files.certificate}: the certificate ends on {day}"]


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, object]:
    """The certificate that a client gets to see, without a network."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        try:
            asking.do_handshake()
        except ssl.SSLWantReadError:
            try:
                answering.do_handshake()
            except ssl.SSLWantReadError:
                continue
        else:
            return dict(asking.getpeercert() or {})
    raise ssl.SSLError("no end of the handshake")
