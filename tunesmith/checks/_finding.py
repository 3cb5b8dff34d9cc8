"""What a check has to say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks._masking import redacted

__all__ = ["Finding", "Severity", "counted", "row_numbers"]

Severity: TypeAlias = Literal["error", "warning", "note"]
"""error: training is refused, or its figures would be wrong; warning: the model gets worse;
note: worth knowing."""


def row_numbers(places: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Places in the table, counted from 0, as row numbers, counted from 1."""
    return np.asarray(places, dtype=np.int64) + 1


def counted(number: int, one: str, many: str) -> str:
    """ "1 row repeats", "1,204 rows repeat"."""
    return f"{number:,} {one if number == 1 else many}"


_VALUES_AT_ONCE = 10_000


def _no_rows() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the data, or worth knowing of it.

    Attributes:
        check: what found it, such as "exact-duplicates".
        severity: how much it matters.
        message: what is the matter, for somebody who does not program.
        fix: what to do about it.
        rows: int64, the rows concerned, numbered from 1; the header is not counted. None where it
            is about the data as a whole.
        column: the column concerned; None where it is about whole rows.
        step: the cleaning step that mends it; None where only a person can.
        groups: rows that belong together, such as copies of one text.
        details: what is known besides, such as the label suspected; what is known of a single row
            has its number as `row`.
        part: whose rows they are, "validation" or "test"; "" for those of the file checked.
    """

    check: str
    severity: Severity
    message: str
    fix: str
    rows: NDArray[np.int64] = field(default_factory=_no_rows)
    column: str | None = None
    step: str | None = None
    groups: Sequence[Sequence[int]] = ()
    details: Sequence[Mapping[str, Any]] = ()
    part: str = ""

    def __post_init__(self) -> None:
        if self.severity not in get_args(Severity):
            known = ", ".join(get_args(Severity))
            raise ValueError(f"{self.check}: the severity is {self.severity!r}, not of {known}")
        # Messages are printed, and travel in manifests and reports: none may hold personal data.
        object.__setattr__(self, "message", redacted(self.message))
        # A check of the user's own may well give a list.
        object.__setattr__(self, "rows", np.asarray(self.rows, dtype=np.int64))

    def as_dict(self, most_rows: int | None = None) -> dict[str, Any]:
        """The finding as JSON holds it.

        Args:
            most_rows: rows, groups and details beyond so many are left out; `num_rows` has all.
        """
        return {
            "check": self.check,
            "severity": self.severity,
            "message": self.message,
            "fix": self.fix,
            "step": self.step,
            "column": self.column,
            "part": self.part,
            "num_rows": len(self.rows),
            "rows": self.rows[:most_rows].tolist(),
            "groups": [list(group) for group in self.groups[:most_rows]],
            "details": [dict(one) for one in self.details[:most_rows]],
        }

    def json_pieces(self) -> Iterator[str]:
        """`as_dict()` as JSON, in pieces: millions of rows are never one text."""
        head = json.dumps(self.as_dict(most_rows=0), ensure_ascii=False)
        yield head[: head.index(', "num_rows": ')] + f', "num_rows": {len(self.rows)}'
        every: dict[str, Sequence[Any]] = {
            "rows": self.rows,  # type: ignore[dict-item]
            "groups": self.groups,
            "details": self.details,
        }
        for name, values in every.items():
            yield f', "{name}": ['
            for start in range(0, len(values), _VALUES_AT_ONCE):
                plain = [_plain(one) for one in values[start : start + _VALUES_AT_ONCE]]
                yield (", " if start else "") + json.dumps(plain, ensure_ascii=False)[1:-1]
            yield "]"
        yield "}"


def _plain(value: Any) -> Any:
    """What json can write of a row, a group of rows, or what is known of one."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else int(value)
