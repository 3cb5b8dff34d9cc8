"""A registry in a bucket, followed by way of a folder on this machine.

What is wanted and the versions that it names are copied here, by fsspec, and each version is
verified before it counts as being here. So a server answers on, and starts again, where the bucket
is away for a while. Nothing is written to the bucket.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any

from pydantic import ValidationError

from tunesmith import storage
from tunesmith.bundles._bundle import open_bundle
from tunesmith.bundles._manifest import MANIFEST, Manifest
from tunesmith.bundles._registry import Registry, is_name, is_url
from tunesmith.bundles._signature import SIGNATURE, TrustedKeys
from tunesmith.bundles._traffic import Traffic
from tunesmith.errors import BundleError, InputError, MissingDependencyError, TunesmithError

__all__ = ["MirroredRegistry"]

logger = logging.getLogger("tunesmith.serving")

_LOOKS_EVERY_S = 5.0
_MAX_RECORD_BYTES = 64 * 1024
_MAX_MANIFEST_BYTES = 16 * 1024 * 1024


class MirroredRegistry(Registry):
    """The registry at a URL, for reading; its status is kept beside the copies."""

    def __init__(
        self,
        url: str,
        cache: Path | None = None,
        *,
        trusted: TrustedKeys | None = None,
        looks_every_s: float = _LOOKS_EVERY_S,
    ) -> None:
        """Opens the file system; nothing is copied yet.

        Args:
            url: such as s3://bucket/registry, gs://…, az://…, with credentials as the file system's
                own library finds them.
            cache: where copies lie; None: a folder for this URL in the user's cache.
            trusted: keys of which one must have signed a version, before its files are copied.
            looks_every_s: how often the bucket is looked at, at most.

        Raises:
            InputError: it is no URL of a file system that fsspec knows.
            MissingDependencyError: fsspec, or the library for this kind of bucket, is not there.
        """
        super().__init__(_cache_of(url) if cache is None else cache)
        self.url = url
        self._trusted = trusted
        self._looks_every_s = looks_every_s
        self._looked: float | None = None
        self._system, self._root = _opened(url)

    def __str__(self) -> str:
        return self.url

    def names(self) -> list[str]:
        """The models that have traffic, after a look at the bucket where one is due."""
        now = monotonic()
        if self._looked is None or now - self._looked >= self._looks_every_s:
            self.pull()
            self._looked = monotonic()
        return super().names()

    def pull(self) -> None:
        """Copies what is wanted and not here; what cannot be had is logged, and tried again."""
        try:
            self._system.invalidate_cache()
            found = self._system.ls(self._root, detail=False)
        # A file system raises what its library and its network raise.
        except Exception as error:  # noqa: BLE001
            logger.error("event=registry_unreadable url=%s error=%s", self.url, _reason(error))
            return
        for path in found:
            name = PurePosixPath(str(path).rstrip("/")).name
            if not is_name(name):
                continue
            try:
                self._pull_model(name)
            except Exception as error:  # noqa: BLE001 - as above; the other models go on
                logger.error("event=pull_failed model=%s error=%s", name, _reason(error))

    def _pull_model(self, name: str) -> None:
        try:
            content = self._read(f"{name}/traffic.json", _MAX_RECORD_BYTES)
        except FileNotFoundError:  # no model, or one of which nothing is wanted yet
            return
        try:
            wanted = Traffic.model_validate_json(content)
        except ValidationError as error:
            raise BundleError(
                "is not what Tunesmith writes", where=f"{self.url}/{name}/traffic.json"
            ) from error
        file = self.folder / name / "traffic.json"
        if file.is_file() and file.read_bytes() == content:
            return
        with self._changing(name):
            for version in wanted.versions:
                self._pull_version(name, version)
            storage.write_bytes(file, content)  # last: it names only what is here

    def _pull_version(self, name: str, version: str) -> None:
        """Copies a version, whole and verified, or not at all."""
        final = self.folder / name / "versions" / version
        there = f"{name}/versions/{version}"
        if final.is_dir():
            return
        with storage.new_folder(final) as temporary:
            content = self._read(f"{there}/{MANIFEST}", _MAX_MANIFEST_BYTES)
            storage.write_bytes(temporary / MANIFEST, content)
            manifest = Manifest.read(temporary / MANIFEST)
            if manifest.digest[:12] != version:
                raise BundleError(
                    f"holds version {manifest.digest[:12]}", where=f"{self.url}/{there}"
                )
            if self._system.exists(f"{self._root}/{there}/{SIGNATURE}"):
                signature = self._read(f"{there}/{SIGNATURE}", _MAX_RECORD_BYTES)
                storage.write_bytes(temporary / SIGNATURE, signature)
            if self._trusted is not None:
                self._trusted.check(temporary, manifest)
            for file in manifest.files:
                self._copy(f"{there}/{file}", _contained(temporary, file))
            open_bundle(temporary, trusted=self._trusted)

    def _read(self, path: str, most: int) -> bytes:
        whole = f"{self._root}/{path}"
        if self._system.size(whole) > most:
            raise BundleError("is too large to be that", where=f"{self.url}/{path}")
        content: bytes = self._system.cat_file(whole)
        return content

    def _copy(self, path: str, final: Path) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        self._system.get_file(f"{self._root}/{path}", str(final))


def _contained(folder: Path, file: str) -> Path:
    """Where a file of a manifest goes; a path that leads out of the bundle is refused."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\\" in file or not path.parts:
        raise BundleError(f"lists {file!r}, which lies outside of the bundle", where=MANIFEST)
    return folder.joinpath(*path.parts)


def _cache_of(url: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tunesmith" / "registries" / hashlib.sha256(url.encode()).hexdigest()[:16]


def _opened(url: str) -> tuple[Any, str]:
    if not is_url(url):
        raise InputError("is no URL", where=f"--registry {url}", mend="s3://bucket/registry")
    with _readable(url):
        import fsspec

        system, root = fsspec.core.url_to_fs(url)
    return system, str(root).rstrip("/")


@contextmanager
def _readable(url: str) -> Iterator[None]:
    where = f"--registry {url}"
    try:
        yield
    except ImportError as error:  # fsspec says which package a kind of bucket needs
        mend = "pip install 'tunesmith[bucket]', and s3fs, gcsfs or adlfs for your kind"
        raise MissingDependencyError(_reason(error), where=where, mend=mend) from error
    except ValueError as error:
        what = "is no file system that fsspec knows"
        raise InputError(what, where=where, mend="s3://…, gs://…, az://…") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TunesmithError | ImportError):
        return " ".join(str(error).split())
    return type(error).__name__
