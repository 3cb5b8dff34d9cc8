"""Where students are while they learn, so that a distillation can go on later."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import Fault, Interrupted, OutputError
from tunesmith.storage import make_private, making, write_bytes

__all__ = ["check_distilling", "distilling_folder"]

_JOURNAL = "journal.json"
_CHANGED = {
    "teacher": "the bundle is another",
    "layers": "students of other sizes are asked for",
    "rows": "the rows to learn from are others",
    "budget_s": "the budget is another",
}
_RESUME = "the same command with --resume goes on"


def check_distilling(output: Path, *, distils: bool, resume: bool) -> None:
    """Finds out, before any work, whether there is something to go on with, or to lose.

    Raises:
        OutputError: a stopped distillation is there and not asked for, or none is and it should be.
    """
    folder = _folder(output)
    if resume and not (folder / _JOURNAL).is_file():
        what = "no distillation that ends in this bundle was stopped"
        raise OutputError(what, where=str(output), mend="leave out --resume")
    if distils and folder.exists() and not resume:
        raise OutputError(
            "is left from a distillation that was stopped",
            where=str(folder),
            mend="go on with --resume, or remove it to begin anew",
        )


@contextmanager
def distilling_folder(
    output: Path, journal: Mapping[str, object], *, resume: bool
) -> Iterator[Path]:
    """A folder beside `output`, "NAME.partial", that is gone once the block ends well.

    Where the block is stopped, or fails, it stays if there is anything in it to go on with.

    Args:
        journal: what the students depend on, as JSON holds it.
        resume: go on with what is there.

    Raises:
        OutputError: what is there was made of something else, or another process works on it.
        Interrupted: the user stopped the work; says how to go on.
    """
    folder = _folder(output)
    with making(output, "bundle"):
        if resume:
            _require_same(folder, journal)
        make_private(folder)
        write_bytes(folder / _JOURNAL, json.dumps(journal, indent=2).encode())
        try:
            yield folder
        except (Interrupted, KeyboardInterrupt) as stop:
            if not _is_of_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
                raise
            what = stop.faults[0].what if isinstance(stop, Interrupted) else "stopped"
            raise Interrupted(what, where=str(folder), mend=_RESUME) from stop
        except Exception as error:
            if _is_of_use(folder):
                error.add_note(f"what was distilled is kept in {folder}; {_RESUME}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _is_of_use(folder: Path) -> bool:
    """Whether a student has begun to learn, or has ended."""
    return any(folder.glob("*/checkpoints/step-*")) or any(folder.glob("*/trained"))


def _require_same(folder: Path, journal: Mapping[str, object]) -> None:
    mend = "give what it began with, or remove the folder to begin anew"
    try:
        before = json.loads((folder / _JOURNAL).read_bytes())
    except (OSError, ValueError) as error:
        raise OutputError("cannot be read", where=str(folder / _JOURNAL), mend=mend) from error
    wanted = json.loads(json.dumps(journal))
    changed = [name for name in wanted if wanted[name] != before.get(name)]
    if changed:
        raise OutputError.of(
            Fault(f"{_CHANGED[name]} since the distillation began", str(folder), mend)
            for name in changed
        )


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")
