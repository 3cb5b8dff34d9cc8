"""What an encoder showed of some rows, kept so that it need not read them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunesmith.bases import Base
from tunesmith.checks import Finding, Subject, row_codes
from tunesmith.storage import write_bytes

__all__ = ["keep", "read_kept"]

_VERSION = 1  # of what is looked for, and how


def keep(path: Path, findings: Sequence[Finding], subject: Subject, base: Base) -> None:
    """Writes findings down, with a digest of the rows, and the base, that they are of.

    Raises:
        OutputError: the disk is full or may not be written.
    """
    whole = {"of": _digest(subject, base), "findings": [one.as_dict() for one in findings]}
    write_bytes(path, json.dumps(whole, ensure_ascii=False).encode())


def read_kept(path: Path, subject: Subject, base: Base) -> list[Finding] | None:
    """The findings that were kept; None where they are of other rows, or cannot be read."""
    try:
        whole = json.loads(path.read_bytes())
        if whole["of"] != _digest(subject, base):
            return None
        return [_finding(one) for one in whole["findings"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _finding(told: dict[str, object]) -> Finding:
    names = ("check", "severity", "message", "fix", "rows", "column", "step", "groups", "details")
    return Finding(**{name: told[name] for name in names})  # type: ignore[arg-type]


def _digest(subject: Subject, base: Base) -> str:
    """Of the rows in their order, of what of them is read, and of the base."""
    digest = hashlib.sha256(np.ascontiguousarray(row_codes(subject)).tobytes())
    digest.update(json.dumps([_VERSION, base.digest, subject.text, subject.target]).encode())
    return digest.hexdigest()
