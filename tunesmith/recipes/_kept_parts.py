"""Answers kept part by part while a file is predicted, so that the work can go on later."""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tunesmith.errors import Fault, OutputError
from tunesmith.storage import make_folder, making, write_bytes

__all__ = ["KeptParts", "check_parts", "kept_parts"]

_JOURNAL = "journal.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHANGED = {
    "bundle": "the bundle is another",
    "texts": "the texts are others",
    "wanted": "other things are asked for beside the labels",
    "rows_a_part": "another version of Tunesmith wrote the parts",
    "runtime": "the model runs on another runtime",
}


@dataclass(frozen=True)
class KeptParts:
    """A folder with a file for each part that is done; a file is there whole or not at all.

    Attributes:
        folder: where the files lie.
        num_done: how many parts were there when the work began.
    """

    folder: Path
    num_done: int

    def add(self, number: int, answers: pa.Table) -> None:
        """Keeps the answers of a part, the first of which is number 0.

        Raises:
            OutputError: the disk is full.
        """
        buffer = io.BytesIO()
        with pa.ipc.new_file(buffer, answers.schema) as file:
            file.write_table(answers)
        write_bytes(_file(self.folder, number), buffer.getvalue())

    def count(self) -> int:
        """How many parts are there now."""
        return _num_done(self.folder)

    def all(self) -> pa.Table:
        """The answers of all parts, which stay on the disk and are mapped."""
        tables = []
        for number in range(self.count()):
            with pa.memory_map(str(_file(self.folder, number))) as memory:
                tables.append(pa.ipc.open_file(memory).read_all())
        return pa.concat_tables(tables, promote_options="default")


@contextmanager
def kept_parts(
    output: Path | None, journal: Mapping[str, object], *, resume: bool
) -> Iterator[KeptParts]:
    """The parts of the work that ends in `output`; they are gone once the block ends well.

    Args:
        output: the file that is being made; its parts lie beside it, in "NAME.partial". None: they
            lie where temporary files do, and nothing is left of them.
        journal: what the answers depend on, as JSON holds it.
        resume: go on with the parts that are there, rather than begin anew.

    Raises:
        OutputError: what is there was made of something else; or another process makes the file.
    """
    if output is None:
        with tempfile.TemporaryDirectory(prefix="tunesmith.", ignore_cleanup_errors=True) as name:
            yield KeptParts(Path(name), 0)
        return
    folder = _folder(output)
    with making(output, "file"):
        if resume:
            _require_same(folder, journal, output)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            make_folder(folder)
            write_bytes(folder / _JOURNAL, json.dumps(journal, indent=2).encode())
        yield KeptParts(folder, _num_done(folder))
        shutil.rmtree(folder, ignore_errors=True)


def check_parts(output: Path, *, resume: bool, overwrite: bool) -> None:
    """Finds out, before rows are worked on, whether there is something to go on with, or to lose.

    Raises:
        OutputError: parts are there, and neither is asked for; or none are, and they should be.
    """
    folder = _folder(output)
    if resume and not (folder / _JOURNAL).is_file():
        mend = "leave out --resume"
        raise OutputError("no run that makes this file was stopped", where=str(output), mend=mend)
    if folder.exists() and not (resume or overwrite):
        raise OutputError(
            "is left from a run that was stopped",
            where=str(folder),
            mend="go on with --resume, or begin anew with --overwrite",
        )


def _require_same(folder: Path, journal: Mapping[str, object], output: Path) -> None:
    try:
        before = json.loads((folder / _JOURNAL).read_bytes())
    except (OSError, ValueError) as error:
        mend = "begin anew with --overwrite"
        raise OutputError("cannot be read", where=str(folder / _JOURNAL), mend=mend) from error
    names = dict.fromkeys((*journal, *before))
    changed = [name for name in names if journal.get(name) != before.get(name)]
    if changed:
        mend = "give what the run began with, or begin anew with --overwrite"
        raise OutputError.of(
            Fault(
                f"{_CHANGED.get(name, f'{name} is another')} since the run began"
                f"{_from_to(before.get(name), journal.get(name))}",
                str(output),
                mend,
            )
            for name in changed
        )


def _from_to(before: object, now: object) -> str:
    """ " (torch-fp32, now onnx-int8)"; of digests the beginning; nothing said is "none"."""
    return f" ({_shown(before)}, now {_shown(now)})"


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    return value[:12] if _DIGEST.fullmatch(value) else value or "none"


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def _num_done(folder: Path) -> int:
    """How many parts are there, one after the other from the first."""
    number = 0
    while _file(folder, number).is_file():
        number += 1
    return number


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.arrow"
