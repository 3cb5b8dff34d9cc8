"""Who vouches for a bundle: Ed25519 signatures (RFC 8032) over its manifest.

The manifest holds the sha256 of every other file, so that a signature over its bytes stands for the
whole bundle. It is a file beside the manifest, `manifest.sig`, which is no part of the digest: a
bundle can be signed after it was written, and by several keys. Keys are PEM files as openssl has
them, private ones PKCS #8, public ones SubjectPublicKeyInfo.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith import storage
from tunesmith.bundles._manifest import MANIFEST, Manifest
from tunesmith.errors import BundleError, ConfigError, MissingDependencyError, OutputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "SIGNATURE",
    "SIGNING_PASSWORD",
    "TrustedKeys",
    "copy_signatures",
    "make_signing_key",
    "sign",
    "signers",
]

SIGNATURE = "manifest.sig"
SIGNING_PASSWORD = "TUNESMITH_SIGNING_PASSWORD"  # noqa: S105 - the variable's name
"""The variable that holds the password of a private key that is encrypted."""

_MAX_BYTES = 64 * 1024
_BEGIN, _END = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
_MAKE = "tunesmith signing-key FILE makes a pair"


class _Signature(BaseModel):
    """By one key, which `key` names; see `_id_of`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    signature: str


class _Signatures(BaseModel):
    """`manifest.sig`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    algorithm: Literal["ed25519"] = "ed25519"
    signatures: tuple[_Signature, ...]


def make_signing_key(file: Path) -> tuple[Path, str]:
    """Makes a pair: the private key in `file`, the public one beside it, `NAME.pub.pem`.

    Returns:
        The public key's file, and the key's id.

    Raises:
        OutputError: it is no file's name, is there already, or cannot be written.
        MissingDependencyError: the extra "sign" is not installed.
    """
    serialization, ed25519 = _library()
    if not file.name:  # ".", "/"
        raise OutputError("is no name of a file", where=str(file), mend="choose one: release.pem")
    public = file.with_name(f"{file.stem}.pub.pem")
    for one in (file, public):
        if one.exists() or one.is_symlink():
            raise OutputError("is there already", where=str(one), mend="choose another name")
    key = ed25519.Ed25519PrivateKey.generate()
    private_bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    storage.write_bytes(file, private_bytes, mode=0o600)
    storage.write_bytes(public, public_bytes)
    return public, _id_of(key.public_key())


def sign(folder: Path, manifest: Manifest, key_file: Path) -> str:
    """Signs a bundle; what another key signed stays, what this one signed is replaced.

    Args:
        folder: the bundle's, which was verified.
        manifest: its manifest.
        key_file: the private key.

    Returns:
        The key's id.

    Raises:
        ConfigError: the key cannot be used.
        BundleError: there are signatures that cannot be read.
        OutputError: the signature cannot be written.
        MissingDependencyError: the extra "sign" is not installed.
    """
    key = _read_private(key_file)
    own = _id_of(key.public_key())
    made = base64.b64encode(key.sign(manifest.to_bytes())).decode()
    _add(folder, (_Signature(key=own, signature=made),))
    return own


def copy_signatures(source: Path, folder: Path) -> None:
    """Adds what signs one copy of a bundle to another; what other keys signed there stays.

    Raises:
        BundleError: there are signatures that cannot be read.
        OutputError: they cannot be written.
    """
    new = _read(source)
    if new:
        _add(folder, new)


def _add(folder: Path, new: tuple[_Signature, ...]) -> None:
    """Adds signatures, in the place of older ones by the same keys."""
    place = folder.resolve()
    # The lock lies beside the bundle, in which there must be no other file.
    with storage.locked(place.with_name(f".{place.name}.signing")):
        replaced = {one.key for one in new}
        kept = (one for one in _read(folder) if one.key not in replaced)
        whole = _Signatures(signatures=(*kept, *new))
        storage.write_bytes(folder / SIGNATURE, (whole.model_dump_json(indent=2) + "\n").encode())


def signers(folder: Path) -> tuple[str, ...]:
    """The ids of the keys that a bundle says it was signed by; nothing is verified.

    Raises:
        BundleError: there are signatures that cannot be read.
    """
    return tuple(one.key for one in _read(folder))


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Public keys of which one must have signed a bundle.

    Attributes:
        keys: a key's id → the key.
        where: where they were read, for messages.
    """

    keys: Mapping[str, Ed25519PublicKey]
    where: str

    @classmethod
    def read(cls, path: Path) -> TrustedKeys:
        """Reads a file of one public key or several, or every `*.pem` of a folder.

        Raises:
            ConfigError: there is no key, or something else than Ed25519 public keys.
            MissingDependencyError: the extra "sign" is not installed.
        """
        _library()
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        found = [key for file in files for key in _read_public(file)]
        if not found:
            raise ConfigError("holds no public key (*.pem)", where=str(path), mend=_MAKE)
        return cls({_id_of(key): key for key in found}, str(path))

    def check(self, folder: Path, manifest: Manifest) -> str:
        """Makes sure that one of the keys signed this manifest.

        Returns:
            The id of the key.

        Raises:
            BundleError: the bundle is not signed, not by any of them, or was changed since.
        """
        from cryptography.exceptions import InvalidSignature

        given = _read(folder)
        content = manifest.to_bytes()
        for one in given:
            key = self.keys.get(one.key)
            if key is None:
                continue
            try:
                key.verify(base64.b64decode(one.signature, validate=True), content)
            except (InvalidSignature, ValueError) as error:
                raise BundleError(
                    f"its signature by {one.key} does not fit: the manifest or the signature was "
                    "changed after it was signed",
                    where=str(folder),
                    mend="restore the bundle from a copy",
                ) from error
            return one.key
        names = ", ".join(one.key for one in given)
        raise BundleError(
            f"is signed by {names}, and by none of the trusted keys" if given else "is not signed",
            where=str(folder),
            mend=f"tunesmith sign BUNDLE --key FILE, with a key of {self.where}",
        )


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "signatures need cryptography, which is not installed",
            mend="pip install 'tunesmith[sign]'",
        ) from error
    return serialization, ed25519


def _id_of(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the sha256 of a public key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _read(folder: Path) -> tuple[_Signature, ...]:
    file = folder / SIGNATURE
    unreadable = "is not what tunesmith sign writes"
    mend = f"sign the bundle again without this file; {MANIFEST} is not changed by it"
    try:
        if not file.exists() and not file.is_symlink():
            return ()
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _MAX_BYTES:
            raise BundleError(unreadable, where=str(file), mend=mend)
        return _Signatures.model_validate_json(file.read_bytes()).signatures
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise BundleError(what, where=str(file), mend="let this user read it") from error
    except ValidationError as error:
        raise BundleError(unreadable, where=str(file), mend=mend) from error


def _read_private(file: Path) -> Ed25519PrivateKey:
    serialization, ed25519 = _library()
    password = os.environ.get(SIGNING_PASSWORD)
    try:
        key = serialization.load_pem_private_key(
            file.read_bytes(), password.encode() if password else None
        )
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=f"--key {file}", mend=_MAKE
        ) from error
    except TypeError as error:  # a password where none is needed, or none where one is
        what = "needs no password" if password else "is encrypted"
        mend = f"unset {SIGNING_PASSWORD}" if password else f"set {SIGNING_PASSWORD}"
        raise ConfigError(what, where=f"--key {file}", mend=mend) from error
    except Exception as error:  # the library's own classes, by what OpenSSL says
        what = "is no private key in PEM, or its password is another"
        raise ConfigError(what, where=f"--key {file}", mend=_MAKE) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ConfigError("is no Ed25519 key", where=f"--key {file}", mend=_MAKE)
    private: Ed25519PrivateKey = key
    return private


def _read_public(file: Path) -> list[Ed25519PublicKey]:
    serialization, ed25519 = _library()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(file)) from error
    found: list[Ed25519PublicKey] = []
    for part in content.split(_BEGIN)[1:]:
        try:
            key = serialization.load_pem_public_key(_BEGIN + part.partition(_END)[0] + _END)
        except Exception as error:  # the library's own classes, by what OpenSSL says
            raise ConfigError("holds a public key that is damaged", where=str(file)) from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise ConfigError("holds a key that is not Ed25519", where=str(file), mend=_MAKE)
        found.append(key)
    if not found:
        raise ConfigError(
            "holds no public key in PEM",
            where=str(file),
            mend=f"{_MAKE}; servers are given the public one, NAME.pub.pem",
        )
    return found
