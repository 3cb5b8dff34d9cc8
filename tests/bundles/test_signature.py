"""Signatures: whose bundles are taken, and what is refused before anything else is read."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tunesmith import storage
from tunesmith.bundles import (
    SIGNATURE,
    SIGNING_PASSWORD,
    Bundle,
    Registry,
    TrustedKeys,
    make_signing_key,
    open_bundle,
    sign,
    signers,
)
from tunesmith.errors import BundleError, ConfigError, MissingDependencyError, OutputError

pytest.importorskip("cryptography")


@pytest.fixture
def bundle(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A copy that may be changed."""
    return open_bundle(shutil.copytree(tiny_bundle.path, tmp_path / "bundle"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_signing_key(tmp_path / "release.pem")
    return tmp_path / "release.pem"


def trusted(key: Path) -> TrustedKeys:
    return TrustedKeys.read(key.with_name(f"{key.stem}.pub.pem"))


def test_what_a_trusted_key_signed_is_opened(bundle: Bundle, key: Path) -> None:
    before = bundle.version
    own = sign(bundle.path, bundle.manifest, key)
    assert signers(bundle.path) == (own,)
    opened = open_bundle(bundle.path, trusted=trusted(key))
    assert opened.version == before, "a signature is no part of the digest"
    assert trusted(key).check(bundle.path, opened.manifest) == own
    assert open_bundle(bundle.path).manifest == opened.manifest, "without keys it is opened too"
    assert sign(bundle.path, bundle.manifest, key) == own
    assert signers(bundle.path) == (own,), "signed once, however often it is asked"


def test_the_private_key_is_for_its_owner_alone(key: Path) -> None:
    assert key.stat().st_mode & 0o077 == 0
    with pytest.raises(OutputError, match="is there already"):
        make_signing_key(key)


def test_what_is_not_signed_is_refused(bundle: Bundle, key: Path) -> None:
    with pytest.raises(BundleError, match="is not signed"):
        open_bundle(bundle.path, trusted=trusted(key))


def test_another_key_is_refused_and_one_of_several_is_enough(
    bundle: Bundle, key: Path, tmp_path: Path
) -> None:
    make_signing_key(tmp_path / "other.pem")
    other = sign(bundle.path, bundle.manifest, tmp_path / "other.pem")
    with pytest.raises(BundleError, match=f"signed by {other}, and by none of the trusted keys"):
        open_bundle(bundle.path, trusted=trusted(key))
    own = sign(bundle.path, bundle.manifest, key)
    assert signers(bundle.path) == (other, own)
    for one in (key, tmp_path / "other.pem"):
        open_bundle(bundle.path, trusted=trusted(one))
    folder = tmp_path / "keys"
    folder.mkdir()
    for one in (key, tmp_path / "other.pem"):
        shutil.copy(one.with_name(f"{one.stem}.pub.pem"), folder)
    assert set(TrustedKeys.read(folder).keys) == {own, other}
    both = tmp_path / "both.pem"
    both.write_bytes(b"# ours\n" + b"".join(file.read_bytes() for file in folder.iterdir()))
    assert set(TrustedKeys.read(both).keys) == {own, other}


def test_a_changed_manifest_is_refused(bundle: Bundle, key: Path) -> None:
    """Who can write all files can write a manifest that fits them, but no signature of it."""
    sign(bundle.path, bundle.manifest, key)
    forged = bundle.manifest.model_copy(update={"name": "forged"}).sealed(bundle.manifest.files)
    (bundle.path / "manifest.json").write_bytes(forged.to_bytes())
    assert open_bundle(bundle.path).manifest.name == "forged"
    with pytest.raises(BundleError, match="does not fit: the manifest or the signature was"):
        open_bundle(bundle.path, trusted=trusted(key))


def test_a_changed_file_is_refused(bundle: Bundle, key: Path) -> None:
    sign(bundle.path, bundle.manifest, key)
    head = bundle.head_path.read_bytes()
    bundle.head_path.write_bytes(head[:-1] + bytes([head[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"head.safetensors: was changed or damaged"):
        open_bundle(bundle.path, trusted=trusted(key))


def test_a_signature_under_another_keys_name_is_refused(
    bundle: Bundle, key: Path, tmp_path: Path
) -> None:
    """The id in the file is a hint, and proves nothing."""
    make_signing_key(tmp_path / "other.pem")
    sign(bundle.path, bundle.manifest, tmp_path / "other.pem")
    file = bundle.path / SIGNATURE
    values = json.loads(file.read_bytes())
    (values["signatures"][0]["key"],) = trusted(key).keys
    file.write_text(json.dumps(values))
    with pytest.raises(BundleError, match="does not fit"):
        open_bundle(bundle.path, trusted=trusted(key))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"signatures": 1}', b'{"format_version": 2, "signatures": []}',
     b" " * 70_000],
)  # fmt: skip
def test_signatures_that_are_none(bundle: Bundle, key: Path, content: bytes) -> None:
    (bundle.path / SIGNATURE).write_bytes(content)
    with pytest.raises(BundleError, match="is not what tunesmith sign writes"):
        open_bundle(bundle.path, trusted=trusted(key))


def test_a_signature_that_is_a_link_or_no_base64_is_refused(
    bundle: Bundle, key: Path, tmp_path: Path
) -> None:
    sign(bundle.path, bundle.manifest, key)
    file = bundle.path / SIGNATURE
    values = json.loads(file.read_bytes())
    values["signatures"][0]["signature"] = "not base64!"
    file.write_text(json.dumps(values))
    with pytest.raises(BundleError, match="does not fit"):
        open_bundle(bundle.path, trusted=trusted(key))
    file.rename(tmp_path / "elsewhere.sig")
    file.symlink_to(tmp_path / "elsewhere.sig")
    with pytest.raises(BundleError, match="is not what tunesmith sign writes"):
        open_bundle(bundle.path, trusted=trusted(key))


def test_keys_that_cannot_be_used(bundle: Bundle, key: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ec.pem").write_bytes(
        curve.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    public = curve.public_key().public_bytes(
        pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "ec.pub.pem").write_bytes(public)
    (tmp_path / "broken.pem").write_bytes(public.replace(b"MFkw", b"!!!!"))
    (tmp_path / "empty").mkdir()
    for file, message in (
        (tmp_path / "none.pem", "cannot be read"),
        (tmp_path / "ec.pem", "is no Ed25519 key"),
        (key.with_name("release.pub.pem"), "is no private key"),
    ):
        with pytest.raises(ConfigError, match=message):
            sign(bundle.path, bundle.manifest, file)
    for file, message in (
        (tmp_path / "none.pem", "cannot be read"),
        (tmp_path / "ec.pub.pem", "holds a key that is not Ed25519"),
        (tmp_path / "broken.pem", "holds a public key that is damaged"),
        (key, "holds no public key in PEM"),
        (tmp_path / "empty", "holds no public key"),
    ):
        with pytest.raises(ConfigError, match=message):
            TrustedKeys.read(file)
    assert not (bundle.path / SIGNATURE).exists()


def test_an_encrypted_key_wants_its_password(
    bundle: Bundle, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives import serialization as pem

    private = pem.load_pem_private_key(key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        private.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
        )
    )
    with pytest.raises(ConfigError, match=f"is encrypted[\\s\\S]*set {SIGNING_PASSWORD}"):
        sign(bundle.path, bundle.manifest, locked)
    monkeypatch.setenv(SIGNING_PASSWORD, "wrong")
    with pytest.raises(ConfigError, match="its password is another"):
        sign(bundle.path, bundle.manifest, locked)
    monkeypatch.setenv(SIGNING_PASSWORD, "secret")
    sign(bundle.path, bundle.manifest, locked)
    open_bundle(bundle.path, trusted=trusted(key))
    with pytest.raises(ConfigError, match="needs no password"):
        sign(bundle.path, bundle.manifest, key)


def test_a_version_that_is_signed_later_is_signed_in_the_registry_too(
    bundle: Bundle, key: Path, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry")
    version = registry.add("tickets", bundle)
    copy = registry.bundle_path("tickets", version)
    with pytest.raises(BundleError, match="is not signed"):
        open_bundle(copy, trusted=trusted(key))
    sign(bundle.path, bundle.manifest, key)
    assert registry.add("tickets", bundle) == version
    open_bundle(copy, trusted=trusted(key))


def test_signatures_of_the_registrys_copy_stay(bundle: Bundle, key: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    copy = registry.bundle_path("tickets", registry.add("tickets", bundle))
    make_signing_key(tmp_path / "other.pem")
    there = sign(copy, bundle.manifest, tmp_path / "other.pem")
    here = sign(bundle.path, bundle.manifest, key)
    registry.add("tickets", bundle)
    assert signers(copy) == (there, here)
    assert signers(bundle.path) == (here,)


def test_two_that_sign_at_once_lose_nothing(
    bundle: Bundle, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_signing_key(tmp_path / "other.pem")
    both = threading.Barrier(2)
    real = storage.write_bytes

    def write_late(final: Path, content: bytes, **more: int) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # so that both would have read before either writes
        real(final, content, **more)

    monkeypatch.setattr(storage, "write_bytes", write_late)
    with ThreadPoolExecutor(2) as pool:
        made = list(
            pool.map(
                lambda own: sign(bundle.path, bundle.manifest, own), (key, tmp_path / "other.pem")
            )
        )
    assert set(signers(bundle.path)) == set(made)
    assert {file.name for file in tmp_path.iterdir() if file.name.startswith(".")} == set()
    open_bundle(bundle.path)


def test_signatures_that_may_not_be_read(
    bundle: Bundle, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(bundle.path, bundle.manifest, key)
    real = Path.read_bytes

    def refuse(file: Path) -> bytes:
        if file.name == SIGNATURE:
            raise PermissionError(13, "Permission denied")
        return real(file)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BundleError, match=r"manifest\.sig: cannot be read: Permission denied"):
        signers(bundle.path)


def test_openssl_makes_keys_and_verifies(bundle: Bundle, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, public = tmp_path / "own.pem", tmp_path / "own.pub.pem"
    raw = tmp_path / "raw.sig"

    def openssl(*words: object) -> None:
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False)
        if done.returncode and b"-rawin" in done.stderr:
            pytest.skip("this openssl is older than Ed25519 on its command line")
        assert done.returncode == 0, done.stderr

    openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", public)
    sign(bundle.path, bundle.manifest, key)
    open_bundle(bundle.path, trusted=TrustedKeys.read(public))
    (made,) = json.loads((bundle.path / SIGNATURE).read_bytes())["signatures"]
    raw.write_bytes(base64.b64decode(made["signature"]))
    manifest = bundle.path / "manifest.json"
    openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"),
        *("-in", manifest, "-sigfile", raw),
    )


def test_without_the_library_it_says_what_to_install(
    bundle: Bundle, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    for ask in (lambda: sign(bundle.path, bundle.manifest, key), lambda: trusted(key)):
        with pytest.raises(MissingDependencyError, match=r"tunesmith\[sign\]"):
            ask()
