"""Key files, guarded apps, certificates, and servers in processes of their own."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fastapi.testclient import TestClient

from tunesmith.serving.security import Access, KeyFile

from ..hash_runtime import HashRuntime, make_app, wait_until_ready

PROGRAM = """
import json, sys
from pathlib import Path
from serving.hash_runtime import HashRuntime
from tunesmith.serving import Guards, Limits, Listener, create_admin_app, create_app, run
from tunesmith.serving import logging_to
from tunesmith.serving.security import Access, KeyFile, Tls, TlsFiles
given = json.loads(sys.argv[1])
limits = Limits(**given.get("limits", {}))
files = [Path(file) if file else None for file in given.get("tls", [])]
tls = Tls(TlsFiles(*files)) if files else None
access = Access(KeyFile(given["keys"])) if "keys" in given else None
guards = Guards(access, limits=limits)
app = create_app(HashRuntime(), name="Tickets", guards=guards)
urls = []
admin = Listener(create_admin_app(app, guards=guards), "127.0.0.1", 0, urls.append)
with logging_to("json"):
    run(app, host="127.0.0.1", port=0, limits=limits, tls=tls, admin=admin,
        on_ready=lambda url: print(url, *urls, flush=True))
print("returned", flush=True)
"""


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys" / "keys.json")


@pytest.fixture
def access() -> Access:
    return Access()


@pytest.fixture
def client(access: Access) -> Iterator[TestClient]:
    """A warm app that wants a key; the client has none."""
    with TestClient(make_app(HashRuntime(), access=access)) as client:
        wait_until_ready(client)
        yield client


@dataclass
class Started:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    admin_url: str
    log: Path

    def stop(self) -> tuple[str, list[dict[str, Any]]]:
        """Its output, and its log."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=30)
        log = self.log.read_text()
        assert "Traceback" not in log
        return out, [json.loads(line) for line in log.splitlines()]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    processes: list[subprocess.Popen[str]] = []
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), str(root / "tests")])

    def begin(**given: object) -> Started:
        log = tmp_path / f"server-{len(processes)}.log"
        with log.open("w") as errors:  # a pipe that nobody reads would stop the server
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(given, default=str)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        url, admin_url = line.split()
        return Started(process, url, admin_url, log)

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@dataclass
class Authority:
    """Signs certificates for this machine's loopback address."""

    folder: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        certificate = self._builder(self.name, self.key, days=(-1, 365)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.file = self.folder / "authority.pem"
        self.file.write_bytes(_pem(certificate.sign(self.key, hashes.SHA256())))

    def issue(
        self,
        name: str,
        *,
        days: tuple[int, int] = (-1, 90),
        password: str | None = None,
        is_client: bool = False,
    ) -> tuple[Path, Path]:
        """Writes NAME.pem and NAME.key; from and until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if is_client else ExtendedKeyUsageOID.SERVER_AUTH
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = self._builder(subject, key, days=days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password.encode())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        secret.write_bytes(key.private_bytes(*form, encryption))
        secret.chmod(0o600)
        certificate.write_bytes(_pem(builder.sign(self.key, hashes.SHA256())))
        return certificate, secret

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now + timedelta(days=days[0]),
            not_valid_after=now + timedelta(days=days[1]),
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
