"""Addresses of data sets on the Hugging Face hub, and which of their files are meant."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import unquote

from tunesmith.data._folder import is_data_file
from tunesmith.data._suggest import did_you_mean
from tunesmith.errors import DataError

__all__ = ["HubAddress", "choose_files", "parse_hub_address"]

_PREFIX = "hf://datasets/"
_FORM = "write hf://datasets/OWNER/NAME, then @REVISION and /FILE or /SPLIT where needed"
_PART = re.compile(r"\w[\w.-]*")
_LONG_REVISION = re.compile(r"refs/(?:convert|pr)/[^/]+")
_SHARD = re.compile(r"[-_.]\d+[-_]of[-_]\d+(?:-[0-9a-f]{16})?$")
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A data set, and what of it.

    Attributes:
        repository: "owner/name".
        revision: a branch, tag or commit; None: the main branch.
        inside: a file, a pattern of files, a folder or a split; "": whatever there is.
    """

    repository: str
    revision: str | None
    inside: str

    def of(self, name: str) -> str:
        """The address of one of its files or splits."""
        at = f"@{self.revision}" if self.revision else ""
        return f"{_PREFIX}{self.repository}{at}/{name}"


def parse_hub_address(address: str) -> HubAddress:
    """Takes an address apart that is written as for `huggingface_hub.HfFileSystem`.

    Raises:
        DataError: it is not of that form.
    """
    owner, _, rest = address.removeprefix(_PREFIX).partition("/")
    name, at, tail = rest.partition("@")
    revision: str | None = None
    if at and "/" not in name:
        long = _LONG_REVISION.match(tail)
        written = long[0] if long else tail.partition("/")[0]
        revision, inside = unquote(written), tail[len(written) :]
    else:
        name, _, inside = rest.partition("/")
    is_whole = _PART.fullmatch(owner) and _PART.fullmatch(name) and revision != ""
    if not address.startswith(_PREFIX) or not is_whole or ".." in PurePosixPath(inside).parts:
        raise DataError("is no address of a data set on the hub", where=address, mend=_FORM)
    return HubAddress(f"{owner}/{name}", revision, inside.strip("/"))


def choose_files(
    address: HubAddress, source: str, files: Sequence[str], suffixes: Collection[str]
) -> list[str]:
    """Those of the data set's files that the address means: one, or the shards of one split.

    A split is a file ("test.csv", "data/train-00000-of-00002.parquet") or a folder of numbered
    files ("default/train/0000.parquet").

    Raises:
        DataError: none is meant, or several splits.
    """
    data = sorted(name for name in files if is_data_file(PurePosixPath(name), suffixes))
    if not data:
        raise DataError(
            "the data set holds no file that can be read; code in it is not run",
            where=source,
            mend=f"the hub may have converted it: hf://datasets/{address.repository}"
            "@refs/convert/parquet",
        )
    inside = address.inside
    if inside in data:
        return [inside]
    if glob.has_magic(inside):
        matches = [name for name in data if fnmatchcase(name, inside)]
        if not matches:
            raise DataError("no file matches", where=source, mend=_named(address, data))
        return matches
    splits: dict[str, list[str]] = {}
    for name in data:
        splits.setdefault(_split(name), []).append(name)
    meant = [split for split in splits if _is_meant(split, inside)]
    if not meant:
        guess = did_you_mean(inside, [*(PurePosixPath(split).name for split in splits), *data])
        mend = f"{guess} {_named(address, list(splits))}".strip()
        raise DataError(f"there is no file or split {inside!r}", where=source, mend=mend)
    if len(meant) > 1:
        raise DataError(f"holds {len(meant):,} tables", where=source, mend=_named(address, meant))
    own = splits[meant[0]]
    if len({"".join(PurePosixPath(name).suffixes[-2:]) for name in own if "." in name}) > 1:
        raise DataError("is there in several formats", where=source, mend=_named(address, own))
    return own


def _split(name: str) -> str:
    path = PurePosixPath(name)
    stem = path.name.removesuffix(".gz").rpartition(".")[0]
    if stem.isdecimal() and len(path.parts) > 1:
        return str(path.parent)
    return str(path.with_name(_SHARD.sub("", stem) or stem))


def _is_meant(split: str, inside: str) -> bool:
    return not inside or f"/{split}".endswith(f"/{inside}") or split.startswith(f"{inside}/")


def _named(address: HubAddress, names: Sequence[str]) -> str:
    shown = ", ".join(address.of(name) for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"name one: {shown}{more}"
