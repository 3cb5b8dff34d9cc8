"""A folder of text files, each in a folder that is named as its label.

The layout of many public sets: `train/pos/0_9.txt`, `train/neg/1_1.txt`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tunesmith.data._decode import decode
from tunesmith.data._suggest import listed
from tunesmith.data._table import ROWS_AT_ONCE, Part, Table
from tunesmith.errors import DataError, Fault

__all__ = ["is_text_folder", "read_text_folder"]

_MOST_FAULTS = 5
_MOST_LABELS = 10


def is_text_folder(folder: Path) -> bool:
    """Whether there is a text file in a folder below this one."""
    return any("/" in name for name in _text_files(folder))


def read_text_folder(folder: Path, source: str) -> Table:
    """Columns `text` (a whole file), `label` (its folder's name) and `path` (below `folder`).

    Rows are in the order of their paths. Hidden files and text files beside the label folders
    are left out.

    Raises:
        DataError: files that are empty or no text (the first five are named), or that lie more than
            one folder deep.
    """
    names = sorted(_text_files(folder))
    paths = [name for name in names if name.count("/") == 1]
    beside = [name for name in names if "/" not in name]
    deep = [name for name in names if name.count("/") > 1]
    if deep:
        raise _too_deep(deep, source)
    read = _Reading(folder, source)
    texts = read.texts(paths)
    labels = [path.partition("/")[0] for path in paths]
    arrow = pa.table(
        {
            "text": texts,
            "label": pa.array(labels, pa.string()),
            "path": pa.array(paths, pa.string()),
        }
    )
    notes = [_count_note(labels), *read.notes()]
    if beside:
        notes.append(f"text files beside the label folders are left out: {listed(beside, 3)}")
    parts = tuple(Part(path, 1, f"{source}/{path}") for path in paths)
    return Table(arrow, source, tuple(notes), parts)


def _text_files(folder: Path, above: str = "") -> Iterator[str]:
    """The paths of all text files below `folder`, with "/" between their parts."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__")):
                continue
            if entry.is_dir(follow_symlinks=not above):
                # A link may lead back up: below the first level none is followed.
                yield from _text_files(Path(entry.path), f"{above}{entry.name}/")
            elif entry.name.lower().endswith(".txt") and entry.is_file():
                yield above + entry.name


def _count_note(labels: Sequence[str]) -> str:
    counts = Counter(labels)
    shown = ", ".join(f"{label} {count:,}" for label, count in counts.most_common(_MOST_LABELS))
    more = f" and {len(counts) - _MOST_LABELS:,} more" if len(counts) > _MOST_LABELS else ""
    return (
        f"{len(labels):,} text files, one row each, in {len(counts):,} folders named as their "
        f"labels: {shown}{more}"
    )


def _too_deep(deep: Sequence[str], source: str) -> DataError:
    above = sorted(
        {str(Path(source) / name.rpartition("/")[0].rpartition("/")[0]) for name in deep}
    )
    more = f" and {len(above) - 5:,} more" if len(above) > 5 else ""
    return DataError(
        f"holds text files more than one folder deep, such as {deep[0]}",
        where=source,
        mend="name the folder whose folders are the labels: " + ", ".join(above[:5]) + more,
    )


@dataclass
class _Foreign:
    """A file that is not UTF-8, and where its text goes."""

    place: int
    name: str
    data: bytes


class _Reading:
    """The texts of many files, few of which are Python objects at a time."""

    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder
        self._source = source
        self._faults: list[Fault] = []
        self._encodings: Counter[str] = Counter()

    def texts(self, names: Sequence[str]) -> pa.ChunkedArray:
        """The text of each file.

        Raises:
            DataError: files that are empty or no text.
        """
        chunks: list[pa.Array] = []
        for start in range(0, len(names), ROWS_AT_ONCE):
            array = pa.array(self._some(names[start : start + ROWS_AT_ONCE]), pa.string())
            # More than 2 GB do not fit into one Arrow string array.
            chunks += array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        if self._faults:
            raise DataError.of(self._faults[:_MOST_FAULTS])
        return pa.chunked_array(chunks, pa.string())

    def notes(self) -> list[str]:
        """What is to be said of the encodings."""
        return [f"{note}: {count:,} files" for note, count in self._encodings.items()]

    def _some(self, names: Sequence[str]) -> list[str]:
        texts: list[str] = []
        foreign: list[_Foreign] = []
        for name in names:
            data = self._read(name)
            text = _utf8(data)
            if text is None:
                foreign.append(_Foreign(len(texts), name, data))
            elif not text or text.isspace():
                mend = "leave the file out, or write its text into it"
                self._fault(Fault("the file is empty", f"{self._source}/{name}", mend))
            texts.append(text or "")
            if len(self._faults) >= _MOST_FAULTS:
                break
        self._decode(foreign, texts)
        return texts

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            self._fault(Fault(f"cannot be read: {reason}", f"{self._source}/{name}"))
            return b"-"

    def _fault(self, fault: Fault) -> None:
        self._faults.append(fault)

    def _decode(self, foreign: Sequence[_Foreign], texts: list[str]) -> None:
        """The texts of files in other encodings, by one guess for all: short ones say too little.

        Where the files do not agree, each is decoded for itself.
        """
        joint = self._together(foreign) if len(foreign) > 1 else None
        for file in foreign:
            if joint is not None:
                texts[file.place] = joint[file.place]
                continue
            try:
                texts[file.place], note = decode(file.data, f"{self._source}/{file.name}")
            except DataError as error:
                self._faults += error.faults
                continue
            self._encodings[note] += bool(note)

    def _together(self, foreign: Sequence[_Foreign]) -> dict[int, str] | None:
        marked = any(file.data[:2] in (b"\xff\xfe", b"\xfe\xff") for file in foreign)
        if marked or any(b"\0" in file.data or _is_nearly_utf8(file.data) for file in foreign):
            return None
        try:
            text, note = decode(b"\n".join(file.data for file in foreign), self._source)
        except DataError:
            return None
        # In all encodings that are guessed at, a byte 10 is a line end and nothing else.
        lines = text.split("\n")
        own: dict[int, str] = {}
        start = 0
        for file in foreign:
            end = start + file.data.count(b"\n") + 1
            own[file.place] = "\n".join(lines[start:end])
            start = end
        if start != len(lines):
            return None
        self._encodings[note] += len(foreign)
        return own


def _utf8(data: bytes) -> str | None:
    """The text of UTF-8 without a byte order mark; None where it is something else."""
    if b"\0" in data:
        return None
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_nearly_utf8(data: bytes) -> bool:
    """Whether most characters beyond ASCII are UTF-8: then the file is damaged, not foreign."""
    text = data.decode("utf-8", "replace")
    num_broken = text.count("\ufffd")
    sound = text.replace("\ufffd", "")
    return len(sound.encode()) - len(sound) >= 2 * num_broken
