"""A registry in a bucket, followed by way of a folder on this machine.

What is wanted and the versions that it names are copied here, by fsspec, and each version is
verified before it counts as being here. So a server answers on, and starts again, where the bucket
is away for a while. Nothing is written to the bucket.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any

from pydantic import ValidationError

from tunesmith import storage
from tunesmith.bundles._bundle import open_bundle
from tunesmith.bundles._manifest import MANIFEST, Manifest, file_digest
from tunesmith.bundles._registry import Registry, is_name, is_url
from tunesmith.bundles._signature import SIGNATURE, TrustedKeys
from tunesmith.bundles._traffic import Traffic
from tunesmith.errors import BundleError, InputError, MissingDependencyError, TunesmithError
from tunesmith.events import log_event

__all__ = ["MirroredRegistry"]

_LOOKS_EVERY_S = 5.0
_LONGEST_WAIT_S = 600.0
_MAX_RECORD_BYTES = 64 * 1024
_MAX_MANIFEST_BYTES = 16 * 1024 * 1024
_MAX_VERSION_BYTES = 20_000_000_000
_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Failure:
    """What became of a version that could not be had.

    Attributes:
        state: of what the bucket had; where it has something else, it is tried at once.
        times: how often it failed.
        again: when it is tried again, by `time.monotonic`.
        reason: why.
    """

    state: str
    times: int
    again: float
    reason: str


class MirroredRegistry(Registry):
    """The registry at a URL, for reading; its status is kept beside the copies."""

    def __init__(
        self,
        url: str,
        cache: Path | None = None,
        *,
        trusted: TrustedKeys | None = None,
        looks_every_s: float = _LOOKS_EVERY_S,
        max_version_bytes: int = _MAX_VERSION_BYTES,
    ) -> None:
        """Opens the file system; nothing is copied yet.

        Args:
            url: such as s3://bucket/registry, gs://…, az://…, with credentials as the file system's
                own library finds them.
            cache: where copies lie; None: a folder for this URL in the user's cache.
            trusted: keys of which one must have signed a version, before its files are copied.
            looks_every_s: how often the bucket is looked at, at most.
            max_version_bytes: a version whose files are larger together is not copied, whatever
                the bucket says of their sizes.

        Raises:
            InputError: it is no URL of a file system that fsspec knows.
            MissingDependencyError: fsspec, or the library for this kind of bucket, is not there.
            OutputError: the folder in the user's cache cannot be made, or is another user's.
        """
        system, root = _opened(url)
        if cache is None:
            own = hashlib.sha256(url.encode()).hexdigest()[:16]
            cache = storage.user_cache("registries") / own
            storage.make_private(cache)
        super().__init__(cache)
        self.url = url
        self._trusted = trusted
        self._looks_every_s = looks_every_s
        self._max_version_bytes = max_version_bytes
        self._looked: float | None = None
        self._system, self._root = system, root
        self._whole: set[tuple[str, str]] = set()
        self._failures: dict[tuple[str, str], _Failure] = {}

    def __str__(self) -> str:
        return self.url

    def names(self) -> list[str]:
        """The models whose wanted versions are here, after a look at the bucket where one is due.

        A copy that is damaged, or that no trusted key signed, is not here yet.
        """
        now = monotonic()
        if self._looked is None or now - self._looked >= self._looks_every_s:
            self.pull()
            self._looked = monotonic()
        return [name for name in super().names() if self._is_here(name)]

    def _is_here(self, name: str) -> bool:
        try:
            wanted = self.traffic(name)
        except BundleError as error:
            log_event(logging.ERROR, "registry_unreadable", model=name, error=_reason(error))
            return False
        return wanted is not None and all(self._is_whole(name, one) for one in wanted.versions)

    def _is_whole(self, name: str, version: str) -> bool:
        """Whether a copy can be served; once it can, it is not looked at again."""
        if (name, version) in self._whole:
            return True
        try:
            open_bundle(self.bundle_path(name, version), trusted=self._trusted)
        except TunesmithError:
            return False
        self._whole.add((name, version))
        return True

    def pull(self) -> None:
        """Copies what is wanted and not here; what cannot be had is logged, and tried again."""
        try:
            self._system.invalidate_cache()
            found = self._system.ls(self._root, detail=False)
        # A file system raises what its library and its network raise.
        except Exception as error:  # noqa: BLE001
            log_event(logging.ERROR, "registry_unreadable", url=self.url, error=_reason(error))
            return
        for path in found:
            name = PurePosixPath(str(path).rstrip("/")).name
            if not is_name(name):
                continue
            try:
                self._pull_model(name)
            except Exception as error:  # noqa: BLE001 - as above; the other models go on
                log_event(logging.ERROR, "pull_failed", model=name, error=_reason(error))

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
        if file.is_file() and file.read_bytes() == content and self._is_here(name):
            return
        with self._changing(name):
            for version in wanted.versions:
                if not self._is_whole(name, version):
                    self._pull_version(name, version)
            storage.write_bytes(file, content)  # last: it names only what is here

    def _pull_version(self, name: str, version: str) -> None:
        """Copies a version, whole and verified, or not at all."""
        there = f"{name}/versions/{version}"
        manifest = self._read(f"{there}/{MANIFEST}", _MAX_MANIFEST_BYTES)
        signature = None
        if self._system.exists(f"{self._root}/{there}/{SIGNATURE}"):
            signature = self._read(f"{there}/{SIGNATURE}", _MAX_RECORD_BYTES)
        state = hashlib.sha256(manifest + (signature or b"")).hexdigest()
        final = self.folder / name / "versions" / version
        with self._seldom(name, version, state):
            if final.is_dir() and self._kept(final, signature):
                return
            with storage.new_folder(final) as temporary:
                storage.write_bytes(temporary / MANIFEST, manifest)
                if signature is not None:
                    storage.write_bytes(temporary / SIGNATURE, signature)
                self._fill(temporary, there, version)

    def _kept(self, final: Path, signature: bytes | None) -> bool:
        """Whether a copy is good with the signature that the bucket has now; else it is removed."""
        if signature is not None:
            storage.write_bytes(final / SIGNATURE, signature)
        try:
            bundle = open_bundle(final)
        except BundleError:
            shutil.rmtree(final)
            return False
        if self._trusted is not None:  # copying it again would not help
            self._trusted.check(final, bundle.manifest)
        return True

    def _fill(self, temporary: Path, there: str, version: str) -> None:
        """Copies what the manifest lists, and verifies it."""
        manifest = Manifest.read(temporary / MANIFEST)
        if manifest.digest[:12] != version:
            raise BundleError(f"holds version {manifest.digest[:12]}", where=f"{self.url}/{there}")
        if self._trusted is not None:
            self._trusted.check(temporary, manifest)
        places = {file: _contained(temporary, file) for file in manifest.files}
        sizes = [self._system.size(f"{self._root}/{there}/{file}") or 0 for file in places]
        left_bytes = self._max_version_bytes
        if sum(sizes) > left_bytes:
            raise self._too_large(there, f"has {sum(sizes) / 1e9:,.1f} GB")
        storage.require_space(temporary, sum(sizes))
        for file, place in places.items():
            left_bytes -= self._copy(f"{there}/{file}", place, left_bytes)
            if left_bytes < 0:
                raise self._too_large(there, f"has more than it says, in {file}")
            if file_digest(place) != manifest.files[file]:
                raise BundleError(
                    "was changed or damaged after it was written",
                    where=f"{self.url}/{there}/{file}",
                )
        open_bundle(temporary, trusted=self._trusted)

    @contextmanager
    def _seldom(self, name: str, version: str, state: str) -> Iterator[None]:
        """Lets more and more time pass between tries that fail, while the bucket has the same."""
        failed = self._failures.get((name, version))
        if failed is None or failed.state != state:
            failed = _Failure(state, 0, 0.0, "")
        left_s = failed.again - monotonic()
        if left_s > 0:
            raise BundleError(f"{failed.reason}; it is tried again in {left_s:.0f} s")
        try:
            yield
        except Exception as error:
            times = min(failed.times + 1, 10)
            again = monotonic() + min(self._looks_every_s * 2**times, _LONGEST_WAIT_S)
            self._failures[name, version] = _Failure(state, times, again, _reason(error))
            raise
        self._failures.pop((name, version), None)

    def _too_large(self, there: str, what: str) -> BundleError:
        most = f"{self._max_version_bytes / 1e9:,.1f} GB"
        return BundleError(
            f"{what}, and a version may have {most}",
            where=f"{self.url}/{there}",
            mend="serve --registry-max GB",
        )

    def _read(self, path: str, most: int) -> bytes:
        content: bytes = self._system.cat_file(f"{self._root}/{path}", end=most + 1)
        if len(content) > most:
            raise BundleError("is too large to be that", where=f"{self.url}/{path}")
        return content

    def _copy(self, path: str, final: Path, most: int) -> int:
        """Copies an object, and not much more of it than `most` bytes; gives how many."""
        final.parent.mkdir(parents=True, exist_ok=True)
        num = 0
        with self._system.open(f"{self._root}/{path}", "rb") as source, final.open("wb") as target:
            while num <= most and (chunk := source.read(_CHUNK_BYTES)):
                target.write(chunk)
                num += len(chunk)
        return num


def _contained(folder: Path, file: str) -> Path:
    """Where a file of a manifest goes; a path that leads out of the bundle is refused."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\\" in file or not path.parts:
        raise BundleError(f"lists {file!r}, which lies outside of the bundle", where=MANIFEST)
    return folder.joinpath(*path.parts)


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
