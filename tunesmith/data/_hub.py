"""Data sets of the Hugging Face hub: `hf://datasets/owner/name`.

Files are downloaded and read; code that lies beside them is neither.
"""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tunesmith.data._folder import is_data_file
from tunesmith.data._hub_address import HubAddress, choose_files, parse_hub_address
from tunesmith.data._many import NamedFile, read_several
from tunesmith.data._table import Table
from tunesmith.errors import DataError, MissingDependencyError

__all__ = ["read_hub"]

_HUB = "https://huggingface.co"
_PATIENCE_S = 4.0
_Result = TypeVar("_Result")


def read_hub(source: str, suffixes: Collection[str], read: Callable[[Path, str], Table]) -> Table:
    """The file, or the files of the split, that an address names.

    A file that is in the hub's cache is not downloaded again unless it changed. HF_ENDPOINT,
    HF_TOKEN and HF_HUB_OFFLINE do what they do for `huggingface_hub`.

    Args:
        suffixes: what files can be read.
        read: reads one file, by its path and what errors call it.

    Raises:
        DataError: there is no such data set or file, it has several, or the hub cannot be reached.
        MissingDependencyError: huggingface_hub is not installed.
    """
    address = parse_hub_address(source)
    is_cut_off = not _is_reachable()
    if is_data_file(PurePosixPath(address.inside), suffixes):
        names = [address.inside]  # needs no list, and so no network where it is in the cache
    else:
        if is_cut_off:
            raise _cut_off(source)
        names = choose_files(address, source, _listed(address, source), suffixes)
    files = [
        NamedFile(_download(address, source, name, is_cut_off), address.of(name), name)
        for name in names
    ]
    table = read_several(files, source, read)
    commit = _commit(files[0].path)
    notes = [f"revision {commit} on the hub"] if commit else []
    return replace(table, notes=(*table.notes, *notes))


def _is_reachable() -> bool:
    """Whether the hub answers within some seconds; its own client goes on trying for a minute.

    Where a proxy stands between, it is the proxy that has to answer, and this is not asked.
    """
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT") or _HUB)
    host = endpoint.hostname or ""
    proxies = urllib.request.getproxies()
    if {endpoint.scheme, "all"} & set(proxies) and not urllib.request.proxy_bypass(host):
        return True
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    answered = threading.Event()

    def connect() -> None:
        with suppress(OSError):
            socket.create_connection((host, port), timeout=_PATIENCE_S).close()
            answered.set()

    # In a thread of its own: looking up a name knows no time limit.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return answered.is_set()


def _listed(address: HubAddress, source: str) -> list[str]:
    def ask() -> list[str]:
        import huggingface_hub

        hub = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        return hub.list_repo_files(
            address.repository, repo_type="dataset", revision=address.revision
        )

    return _asked(source, ask)


def _download(address: HubAddress, source: str, name: str, is_cut_off: bool) -> Path:
    def ask() -> Path:
        import huggingface_hub

        path = huggingface_hub.hf_hub_download(
            address.repository,
            name,
            repo_type="dataset",
            revision=address.revision,
            endpoint=os.environ.get("HF_ENDPOINT"),
            local_files_only=is_cut_off,
        )
        return Path(str(path))

    return _asked(source, ask)


def _asked(source: str, ask: Callable[[], _Result]) -> _Result:
    """The hub's answer, its refusals as errors for the user."""
    try:
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise MissingDependencyError(
            "reading from the hub needs huggingface_hub, which is not installed",
            where=source,
            mend="pip install 'tunesmith[train]'",
        ) from error
    # Its bases are what the HTTP library beneath raises, whichever that is.
    failures: tuple[type[Any], ...] = (*HfHubHTTPError.__bases__, HFValidationError, OSError)
    try:
        return ask()
    except failures as error:
        raise _refusal(error, source) from error


def _refusal(error: BaseException, source: str) -> DataError:
    from huggingface_hub import errors

    text = str(error).strip()
    if isinstance(error, errors.GatedRepoError):
        what = "the data set is only for those who agreed to its terms"
        mend = "agree to them on its page, then: hf auth login, or set HF_TOKEN"
    elif isinstance(error, errors.RevisionNotFoundError):
        what, mend = "there is no such revision of the data set", "leave out what stands behind @"
    elif isinstance(error, errors.RepositoryNotFoundError):
        what = "there is no such data set on the hub, or it is not for everybody"
        mend = "check owner and name; for a private one: hf auth login, or set HF_TOKEN"
    elif isinstance(error, errors.RemoteEntryNotFoundError):
        what, mend = "the data set has no such file", "leave the file out to see what there is"
    elif isinstance(error, errors.HfHubHTTPError):
        what = f"the hub refuses: {text.splitlines()[0][:200] if text else type(error).__name__}"
        mend = "try again later"
    else:
        return _cut_off(source)
    return DataError(what, where=source, mend=mend)


def _cut_off(source: str) -> DataError:
    return DataError(
        "the hub cannot be reached, and the file is not in its cache",
        where=source,
        mend="check the network, HF_HUB_OFFLINE and HF_ENDPOINT; or give the path of a file",
    )


def _commit(path: Path) -> str:
    """The commit that a file of the cache belongs to: …/snapshots/COMMIT/data/train.csv."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else ""
