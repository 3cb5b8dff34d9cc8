"""The immutable folder that is served."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from tunesmith import storage
from tunesmith.bundles._golden import GOLDEN, Golden
from tunesmith.bundles._manifest import MANIFEST, Manifest, file_digest
from tunesmith.bundles._rows import read_rows
from tunesmith.bundles._signature import SIGNATURE, TrustedKeys
from tunesmith.errors import BundleError
from tunesmith.tasks import Task, from_dict
from tunesmith.types import Dataset

__all__ = ["HELD_OUT", "Bundle", "is_bundle", "open_bundle", "write_bundle"]

HELD_OUT = "reference/held_out.parquet"
"""The test rows that a bundle keeps, so that its children can be judged on them."""

_CHANGED = "was changed or damaged after it was written"
_RESTORE = "restore the bundle from a copy, or train it again"

CARD = "README.md"
"""The model card, where a hub looks for it."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle on disk."""

    path: Path
    manifest: Manifest

    @property
    def task(self) -> Task:
        """What the model does."""
        return from_dict(self.manifest.task)

    @property
    def model_path(self) -> Path:
        """The Hugging Face folder, and the head beside it."""
        return self.path / "model"

    @property
    def head_path(self) -> Path:
        """The linear head: `weight` float32 [labels, hidden] and `bias` float32 [labels]."""
        return self.model_path / "head.safetensors"

    @property
    def hidden_size(self) -> int:
        """How many values the pooled states have, which the head reads.

        Raises:
            BundleError: the head cannot be read.
        """
        name = self.head_path.relative_to(self.path).as_posix()
        try:
            return int(load(self.read(name))["weight"].shape[1])
        except (SafetensorError, IndexError, KeyError) as error:
            raise BundleError(f"cannot be read: {error}", where=str(self.head_path)) from error

    def read(self, name: str) -> bytes:
        """What a file holds: the bytes that its digest was taken of, and no others.

        Files were verified when the bundle was opened, and may have been changed since. What is
        loaded from these bytes is what was verified, whatever becomes of the file.

        Args:
            name: as the manifest lists it.

        Raises:
            BundleError: the file cannot be read, is not listed, or was changed.
        """
        file = self.path / name
        try:
            content = file.read_bytes()
        except OSError as error:
            raise BundleError(f"cannot be read: {error.strerror}", where=str(file)) from error
        if hashlib.sha256(content).hexdigest() != self.manifest.files.get(name):
            raise BundleError(f"{name}: {_CHANGED}", where=str(self.path), mend=_RESTORE)
        return content

    @property
    def adapter_path(self) -> Path | None:
        """The adapter that belongs on `model_path`, in PEFT's format; None where it is merged."""
        folder = self.path / "adapter"
        return folder if folder.is_dir() else None

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the digest."""
        return self.manifest.digest[:12]

    def held_out(self) -> Dataset | None:
        """The test rows that the bundle keeps; None where they were left out of it.

        Raises:
            DataError: the file does not hold what the manifest says.
        """
        if HELD_OUT not in self.manifest.files:
            return None
        names = [field.name for field in self.task.fields]
        return read_rows(self.path / HELD_OUT, names, self.manifest.data["target"])

    def golden(self) -> Golden | None:
        """Inputs with the trained model's scores; None where the bundle is from before they came.

        Raises:
            BundleError: the file is not what it should be.
        """
        if GOLDEN not in self.manifest.files:
            return None
        return Golden.read(self.read(GOLDEN), where=str(self.path / GOLDEN))

    def card(self) -> str:
        """The model card, Markdown with metadata in YAML.

        Raises:
            BundleError: the bundle was written before there were cards.
        """
        file = self.path / CARD
        if CARD not in self.manifest.files:
            mend = "its report is in report/report.html; bundles trained from now on have a card"
            raise BundleError("has no model card", where=str(self.path), mend=mend)
        return file.read_text(encoding="utf-8")

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


def is_bundle(folder: Path) -> bool:
    """Whether `folder` claims to be a bundle; `open_bundle` verifies the claim."""
    return (folder / MANIFEST).is_file()


def write_bundle(
    final: Path,
    manifest: Manifest,
    write_parts: Callable[[Path], None],
    *,
    check: Callable[[Bundle], None],
) -> Bundle:
    """Writes a bundle whole or not at all.

    Args:
        final: the bundle's folder; absent or empty.
        manifest: all but `files` and `digest`, which are filled in here.
        write_parts: writes `model/`, `report/` … into the folder it is given.
        check: raises where the bundle, whole but not yet in its place, must not be promoted.

    Raises:
        OutputError: `final` is taken, or the disk is full.
    """
    with storage.new_folder(final) as temporary:
        write_parts(temporary)
        for file in temporary.rglob("*"):
            # Some libraries write for their own user alone; a server may run as another.
            file.chmod(0o755 if file.is_dir() else 0o644)
        files = {
            str(file.relative_to(temporary).as_posix()): file_digest(file)
            for file in temporary.rglob("*")
            if file.is_file()
        }
        storage.write_bytes(temporary / MANIFEST, manifest.sealed(files).to_bytes())
        check(open_bundle(temporary))
    return open_bundle(final, verify=False)


def open_bundle(
    folder: Path | str, *, verify: bool = True, trusted: TrustedKeys | None = None
) -> Bundle:
    """Opens a bundle, or a run folder that holds one.

    Args:
        folder: the bundle.
        verify: whether to read every file and compare its digest with the manifest's.
        trusted: keys of which one must have signed it; None: it need not be signed.

    Raises:
        BundleError: it is no bundle; a file is missing, foreign or changed, each named; or none of
            the keys signed it.
    """
    path = Path(folder)
    if not path.is_dir():
        what = "is a file, not a bundle" if path.exists() else "no such bundle"
        raise BundleError(what, where=str(path), mend="give a bundle's folder, or a run's")
    if not is_bundle(path) and is_bundle(path / "bundle"):
        path = path / "bundle"
    manifest = Manifest.read(path / MANIFEST)
    bundle = Bundle(path, manifest)
    if trusted is not None:
        trusted.check(path, manifest)
    if verify:
        _verify(bundle)
    return bundle


def _verify(bundle: Bundle) -> None:
    listed = bundle.manifest.files
    found = {
        file.relative_to(bundle.path).as_posix(): file
        for file in bundle.path.rglob("*")
        if file.is_symlink() or not file.is_dir()
    }
    for name in (MANIFEST, SIGNATURE):  # not listed in it, and read by their own rules
        found.pop(name, None)
    faults = [f"{name}: is missing" for name in listed if name not in found]
    faults += [f"{name}: does not belong to the bundle" for name in found if name not in listed]
    faults += [
        f"{name}: {_CHANGED}"
        for name, file in found.items()
        if name in listed and not _is_whole(file, listed[name])
    ]
    if faults:
        raise BundleError(
            "; ".join(faults),
            where=str(bundle.path),
            mend=_RESTORE,
        )


def _is_whole(file: Path, digest: str) -> bool:
    # A link may lead elsewhere tomorrow, and reading what is no plain file may wait for ever.
    return file.is_file() and not file.is_symlink() and file_digest(file) == digest
