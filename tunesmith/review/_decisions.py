"""The decisions of a review, on the disk from the moment in which they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith import storage
from tunesmith.checks import (
    Action,
    Correction,
    Corrections,
    Subject,
    digest_text,
    find_places,
    read_corrections,
    row_codes,
    write_corrections,
)
from tunesmith.errors import InputError
from tunesmith.types import Target

__all__ = ["Changed", "Decisions"]


class Changed(InputError):  # noqa: N818 - nobody did anything wrong
    """Somebody else has decided on the row meanwhile.

    Attributes:
        present: what is decided now; None where it was taken back.
    """

    def __init__(self, present: Correction | None) -> None:
        super().__init__("the row was decided elsewhere")
        self.present = present


class Decisions:
    """A corrections file that several pages, and several servers, may write to at once.

    The file alone counts: each decision reads it, changes it and replaces it whole, under a lock
    that all of them take.
    """

    def __init__(self, path: Path, subject: Subject) -> None:
        self.path = path
        self._subject = subject
        self._read: tuple[str, dict[int, Correction]] = ("", {})  # by the file's sha256

    @cached_property
    def _codes(self) -> NDArray[np.uint64]:
        return row_codes(self._subject)

    @contextmanager
    def in_use(self) -> Iterator[bool]:
        """For as long as the block takes, says to others that this file is being worked on.

        The block is told whether it is the only one.
        """
        assert len(self._codes) == self._subject.num_rows  # now, not with the first decision
        with storage.locked(self._beside("open"), wait=False) as is_alone:
            yield is_alone

    def all(self) -> dict[int, Correction]:
        """Row → what is decided on it, as the file has it now.

        Raises:
            DataError: the file cannot be read, or does not fit the rows.
        """
        if not self.path.exists():
            return {}
        sha256, known = self._read
        if not _holds(self.path, sha256):
            corrections = read_corrections(self.path)
            known = self._by_row(corrections)
            self._read = (corrections.sha256, known)
        return dict(known)

    def decide(
        self, row: int, action: Action, after: Target | None, *, check: str, seen: str | None
    ) -> Correction:
        """Decides on a row; the file has it when this returns.

        Args:
            row: the row's number, from 1.
            after: its new label with "relabel".
            check: what flagged the row; "" where nothing did.
            seen: `when` of the decision that this one replaces; None where there is none.

        Raises:
            Changed: somebody else has decided on the row meanwhile.
            DataError: the file was changed to what cannot be read.
            OutputError: the disk is full or may not be written.
        """
        before = self._subject.targets[row - 1]
        decision = Correction(
            row=row,
            digest=digest_text(int(self._codes[row - 1])),
            action=action,
            before=before,
            after={"keep": before, "relabel": after, "drop": None}[action],
            check=check,
            when=_now(),
        )
        with self._changing(row, seen) as known:
            known[row] = decision
        return decision

    def take_back(self, row: int, *, seen: str | None) -> None:
        """Removes the decision on a row.

        Raises:
            Changed, DataError, OutputError: as `decide`.
        """
        with self._changing(row, seen) as known:
            known.pop(row, None)

    @contextmanager
    def _changing(self, row: int, seen: str | None) -> Iterator[dict[int, Correction]]:
        with storage.locked(self._beside("lock")):
            known = self.all()
            present = known.get(row)
            if (None if present is None else present.when) != seen:
                raise Changed(present)
            yield known
            self._read = (write_corrections(self.path, known.values()), dict(sorted(known.items())))

    def _by_row(self, corrections: Corrections) -> dict[int, Correction]:
        found = find_places(self._subject, corrections, self._codes)
        return {
            # Where rows have moved, the file gets their new numbers with the next decision.
            place + 1: one if one.row == place + 1 else _renumbered(one, place + 1)
            for place, one in found.items()
        }

    def _beside(self, kind: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{kind}")


def _holds(path: Path, sha256: str) -> bool:
    """Whether a file is still the one that was read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False  # whoever reads it says what is wrong


def _renumbered(one: Correction, row: int) -> Correction:
    return Correction(row, one.digest, one.action, one.before, one.after, one.check, one.when)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
