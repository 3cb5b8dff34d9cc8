"""What a bundle says of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.bundles._runtimes import Runtimes
from tunesmith.errors import BundleError

__all__ = ["FORMAT_VERSION", "MANIFEST", "Ancestor", "BaseFacts", "Manifest", "file_digest"]

FORMAT_VERSION = 3
MANIFEST = "manifest.json"

_ABSENT_WHERE_NONE = ("lineage", "forgetting", "distillation", "runtimes")


class BaseFacts(BaseModel):
    """The base model that training started from, and how its states become one vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    digest: str
    family: str
    pooling: Literal["mean", "first", "last"]
    max_length: int


class Ancestor(BaseModel):
    """A bundle in the line that another one came from.

    `name` and `fingerprint` (of its data) are None where a bundle of format 1 named its parent by
    the digest alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    name: str | None = None
    fingerprint: str | None = None


class Manifest(BaseModel):
    """`manifest.json`: what was trained, from what, on which data, how good it is, and every file.

    `files` maps each other file's path to its sha256; `digest` is the sha256 of the manifest itself
    without that field, so that it stands for the whole bundle. `lineage` and `forgetting` came with
    format 2: they are left out of the file where they are None. Format 3 has in `task` what was
    fitted on validation rows, which a reader of older formats would pass over and answer otherwise,
    and `distillation` and `runtimes`, which are left out in the same way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    name: str
    created: str
    task: dict[str, Any]
    base: BaseFacts
    parent: str | None = None
    lineage: tuple[Ancestor, ...] | None = None
    data: dict[str, Any]
    config: dict[str, Any]
    versions: dict[str, str]
    metrics: dict[str, Any]
    calibration: dict[str, Any] | None = None
    forgetting: dict[str, Any] | None = None
    distillation: dict[str, Any] | None = None
    runtimes: Runtimes | None = None
    files: dict[str, str] = {}
    digest: str = ""

    def chain(self) -> tuple[Ancestor, ...]:
        """The bundles that this one came from, as far as they are known, and itself; oldest first.

        It is the `lineage` of a bundle that is trained from this one.
        """
        older = self.lineage or ()
        if not older and self.parent:
            older = (Ancestor(digest=self.parent),)
        fingerprint = self.data.get("fingerprint")
        return (*older, Ancestor(digest=self.digest, name=self.name, fingerprint=fingerprint))

    def sealed(self, files: dict[str, str]) -> Manifest:
        """The same manifest over these files, with its digest."""
        unsealed = self.model_copy(update={"files": dict(sorted(files.items())), "digest": ""})
        digest = hashlib.sha256(unsealed.to_bytes()).hexdigest()
        return unsealed.model_copy(update={"digest": digest})

    def to_bytes(self) -> bytes:
        """The one canonical form, which is what the file holds, byte for byte."""
        values = self.model_dump(mode="json")
        # A bundle of format 1 must keep the bytes that its digest was taken of.
        for name in _ABSENT_WHERE_NONE:
            if values[name] is None:
                del values[name]
        return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()

    @classmethod
    def read(cls, file: Path) -> Manifest:
        """Reads and verifies a manifest.

        Raises:
            BundleError: it is missing, of a later format, or was changed.
        """
        changed = BundleError(
            "was changed or damaged after it was written",
            where=str(file),
            mend="restore the bundle from a copy, or train it again",
        )
        try:
            content = file.read_bytes()
        except OSError as error:
            raise BundleError(
                f"is not a bundle (no {MANIFEST})",
                where=str(file.parent),
                mend="give a run's folder, or the folder called 'bundle' in it",
            ) from error
        try:
            values = json.loads(content)
            if values["format_version"] > FORMAT_VERSION:
                raise BundleError(
                    f"has format {values['format_version']}; this Tunesmith reads formats up to "
                    f"{FORMAT_VERSION}",
                    where=str(file),
                    mend="upgrade Tunesmith",
                )
            manifest = cls.model_validate(values)
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise changed from error
        if manifest.to_bytes() != content or manifest.sealed(manifest.files) != manifest:
            raise changed
        return manifest


def file_digest(file: Path) -> str:
    """The sha256 of a file's bytes, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
