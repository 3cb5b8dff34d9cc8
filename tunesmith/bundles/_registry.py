"""A folder of models and their versions, which servers watch.

    REGISTRY/
      NAME/
        traffic.json          what is wanted: which version answers, and which is tried
        status.json           what the server made of it
        versions/0123456789ab a bundle, by the first digits of its digest

Every file is replaced in one step and every version comes whole, so that whoever is killed leaves
something that works.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tunesmith import storage
from tunesmith.bundles._bundle import Bundle, open_bundle
from tunesmith.bundles._signature import copy_signatures
from tunesmith.bundles._traffic import Canary, Status, Traffic
from tunesmith.errors import BundleError, InputError

__all__ = ["Registry", "is_name", "is_url"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9a-f]{12}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one letter is a drive; a `Path` drops a slash

Record = TypeVar("Record", bound=BaseModel)


class Registry:
    """Models by name; each with immutable versions, and who of them answers."""

    def __init__(self, folder: Path | str) -> None:
        """Reads nothing yet; the folder need not exist before something is put into it.

        Raises:
            InputError: it is a URL.
        """
        if is_url(str(folder)):
            raise InputError(
                "a registry is changed in a folder, and followed in a bucket",
                where=f"--registry {folder}",
                mend="deploy into a folder, then copy it: versions first, traffic.json last",
            )
        self.folder = Path(folder)

    def __str__(self) -> str:
        return str(self.folder)

    def names(self) -> list[str]:
        """The models that have traffic, in alphabetical order."""
        found = self.folder.glob("*/traffic.json")
        return sorted(file.parent.name for file in found if _NAME.fullmatch(file.parent.name))

    def versions(self, name: str) -> list[str]:
        """The versions of a model that are here, the oldest first."""
        found = [file for file in self._of(name).glob("versions/*") if _is_version(file)]
        return [file.name for file in sorted(found, key=lambda file: file.stat().st_mtime)]

    def bundle_path(self, name: str, version: str) -> Path:
        """Where a version lies.

        Raises:
            InputError: there is none of this name.
        """
        path = self._of(name) / "versions" / version
        if not _VERSION.fullmatch(version) or not path.is_dir():
            raise InputError(
                f"{name!r} has no version {version!r}",
                where=str(self.folder),
                mend=f"it has {', '.join(self.versions(name)) or 'none'}",
            )
        return path

    def add(self, name: str, bundle: Bundle) -> str:
        """Copies a bundle into the registry, whole or not at all, and verifies the copy.

        What a copy left that was killed is removed.

        Returns:
            Its version; one that is here already is left as it is, but for newer signatures. One
            that was damaged since is copied again.

        Raises:
            InputError: the name is not one.
            BundleError: the copy is not the bundle.
            OutputError: the disk is full, or may not be written.
        """
        final = self._of(name) / "versions" / bundle.version
        with self._changing(name):
            for left in final.parent.glob(".*"):
                shutil.rmtree(left, ignore_errors=True)
            if _is_whole(final, bundle):  # it may have been signed since
                copy_signatures(bundle.path, final)
            else:
                storage.remove_folder(final)
                with storage.new_folder(final) as temporary:
                    shutil.copytree(bundle.path, temporary, dirs_exist_ok=True)
                    if open_bundle(temporary).manifest.digest != bundle.manifest.digest:
                        raise BundleError("was changed while it was copied", where=str(bundle.path))
        return bundle.version

    def prune(self, name: str, keep: int = 3) -> list[str]:
        """Removes old versions: none that answers, is tried, or can be gone back to.

        Args:
            keep: how many of the newest stay in any case.

        Returns:
            What was removed.

        Raises:
            InputError: there is no such model, or `keep` is below zero.
            OutputError: a version may not be removed.
        """
        if keep < 0:
            raise InputError(f"{keep} versions cannot be kept", where="--keep", mend="--keep 3")
        if not self._of(name).is_dir():
            raise InputError("no such model", where=name, mend=self._known())
        with self._changing(name):
            wanted: set[str | None] = set(self.versions(name)[-keep:] if keep else ())
            for traffic in (self.traffic(name), self.status(name).serving):
                if traffic is not None:
                    wanted |= {*traffic.versions, traffic.previous}
            old = [version for version in self.versions(name) if version not in wanted]
            for version in old:
                storage.remove_folder(self.bundle_path(name, version))
        return old

    def traffic(self, name: str) -> Traffic | None:
        """What is wanted of a model; None where nothing was ever deployed.

        Raises:
            BundleError: the file was changed by hand into something else.
        """
        return _read(self._of(name) / "traffic.json", Traffic)

    def status(self, name: str) -> Status:
        """What the server made of it; nothing where none has looked at it yet."""
        return _read(self._of(name) / "status.json", Status) or Status()

    def set_status(self, name: str, status: Status) -> None:
        """Notes what the server made of it."""
        _write(self._of(name) / "status.json", status)

    def described(self, name: str) -> dict[str, object]:
        """What is wanted of a model, what the server made of it, and what there is, as JSON has it.

        Raises:
            BundleError: a file was changed by hand into something else.
        """
        wanted, status = self.traffic(name), self.status(name)
        return {
            "wanted": None if wanted is None else wanted.model_dump(),
            "serving": None if status.serving is None else status.serving.model_dump(),
            "fault": status.fault,
            "versions": self.versions(name),
        }

    def deploy(
        self,
        name: str,
        version: str,
        *,
        share: float | None = None,
        shadow: bool = False,
        allow_other_task: bool = False,
    ) -> Traffic:
        """Wants a version to answer: all requests, a share of them, or none but beside another.

        Args:
            share: makes it a canary that answers so many of the requests, between 0 and 1.
            shadow: makes it a shadow of the version in production.
            allow_other_task: whether it may read other columns, or lack labels that clients know.

        Raises:
            InputError: there is no such version, nothing that it could be tried beside, or it does
                something else than the version in production.
        """
        self.bundle_path(name, version)

        def change(now: Traffic | None) -> dict[str, object]:
            if now is not None and not allow_other_task:
                self._require_same_task(name, now.production, version)
            if share is None and not shadow:
                same = now is not None and now.production == version
                before = None if now is None else now.previous if same else now.production
                return {"production": version, "previous": before}
            if now is None or now.production == version:
                what = "a version can be tried only beside another one that answers"
                raise InputError(what, where=name, mend="deploy without --canary or --shadow")
            canary = None if share is None else Canary(version=version, share=share)
            kept = {"production": now.production, "previous": now.previous}
            return {**kept, "canary": canary, "shadow": version if shadow else None}

        return self._change(name, change)

    def _require_same_task(self, name: str, production: str, version: str) -> None:
        """Clients of a model send its columns and act on its labels."""
        try:
            old = open_bundle(self.bundle_path(name, production), verify=False).task
        except InputError:  # whatever it did, it cannot be asked any more
            return
        new = open_bundle(self.bundle_path(name, version), verify=False).task
        fields = [[field.name for field in task.fields] for task in (old, new)]
        lost = [label for label in old.labels if label not in new.labels]
        what = ""
        if type(old) is not type(new):
            what = f"it does {new.name}, and the version in production {old.name}"
        elif fields[0] != fields[1]:
            what = f"it reads {', '.join(fields[1])}, and clients send {', '.join(fields[0])}"
        elif lost:
            more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
            what = f"it lacks labels that clients know: {', '.join(lost[:5])}{more}"
        if what:
            raise InputError(
                f"{version} is of another task: {what}",
                where=name,
                mend="deploy it under another name, or give --other-task if clients are ready",
            )

    def promote(self, name: str) -> Traffic:
        """Wants the version that is tried to answer all requests.

        Raises:
            InputError: none is tried.
        """

        def change(now: Traffic | None) -> dict[str, object]:
            tried = None if now is None else now.canary.version if now.canary else now.shadow
            if now is None:
                raise InputError("no such model", where=name, mend=self._known())
            if tried is None:
                mend = "tunesmith deploy NAME BUNDLE --canary 10%"
                raise InputError("no version is tried", where=name, mend=mend)
            return {"production": tried, "previous": now.production}

        return self._change(name, change)

    def roll_back(self, name: str) -> Traffic:
        """Ends a trial; where there is none, wants the previous version to answer again.

        Raises:
            InputError: there is neither.
        """

        def change(now: Traffic | None) -> dict[str, object]:
            if now is not None and (now.canary or now.shadow):
                return {"production": now.production, "previous": now.previous}
            if now is None:
                raise InputError("no such model", where=name, mend=self._known())
            if now.previous is None:
                raise InputError(
                    "there is no version to go back to",
                    where=name,
                    mend=f"deploy one of {', '.join(self.versions(name)) or 'the bundles'}",
                )
            # Not the other way round too: a command that is given twice must not go forward again.
            return {"production": now.previous}

        return self._change(name, change)

    def _change(self, name: str, change: Callable[[Traffic | None], dict[str, object]]) -> Traffic:
        with self._changing(name):
            status = self.status(name)
            try:
                now = self.traffic(name)
            except BundleError:  # it is written anew, from what answers
                now = status.serving
            number = 1 + max(status.tried, 0 if now is None else now.change)
            wanted = Traffic.model_validate({"change": number, **change(now)})
            _write(self._of(name) / "traffic.json", wanted)
        return wanted

    def _known(self) -> str:
        return f"{self.folder} has {', '.join(self.names()) or 'no models'}"

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Keeps two commands from changing a model at once."""
        folder = self._of(name)
        storage.make_folder(folder / "versions")
        with storage.locked(folder / ".lock"):
            yield

    def _of(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is no name for a model",
                where="NAME",
                mend="letters, digits, '.', '_' and '-', at most 64, a letter or digit first",
            )
        return self.folder / name


def is_name(text: str) -> bool:
    """Whether a model may be called so."""
    return _NAME.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """Whether it is an address with a scheme, rather than a folder."""
    return _URL.match(text) is not None


def _is_whole(copy: Path, bundle: Bundle) -> bool:
    """Whether the copy of a bundle is there, and undamaged."""
    try:
        return open_bundle(copy).manifest.digest == bundle.manifest.digest
    except BundleError:
        return False


def _is_version(path: Path) -> bool:
    return path.is_dir() and _VERSION.fullmatch(path.name) is not None


def _read(file: Path, kind: type[Record]) -> Record | None:
    try:
        return kind.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BundleError(
            f"is not what Tunesmith writes: {first['msg']}",
            where=str(file),
            mend="deploy again, which writes it anew; it is not made to be edited",
        ) from error


def _write(file: Path, record: BaseModel) -> None:
    storage.write_bytes(file, (record.model_dump_json(indent=2) + "\n").encode())
