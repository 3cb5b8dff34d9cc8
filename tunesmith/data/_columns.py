"""Which columns hold the texts, and which one the target."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tunesmith.data._recognise import TARGET_NAMES
from tunesmith.data._suggest import listed
from tunesmith.data._table import Table, missing_column
from tunesmith.errors import DataError, Fault

__all__ = ["Columns", "choose_columns", "is_text"]

_TEXT_NAME = "text"
_SAMPLE_ROWS = 20_000
_MOST_LABELS = 1000
_FEWEST_WORDS = 3.0
_FEWEST_DISTINCT = 0.5
# Scripts that put no space between words; two characters are about one word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class Columns:
    """The columns chosen.

    Attributes:
        text: one column, or two for pairs of texts.
        target: the column of the answers; None for data that has none.
        notes: what was guessed, and the flag that chooses otherwise.
    """

    text: tuple[str, ...]
    target: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Profile:
    """What a column's values look like."""

    name: str
    is_prose: bool
    is_label: bool


def choose_columns(
    table: Table,
    *,
    text: Sequence[str] = (),
    target: str | None = None,
    with_target: bool = True,
    besides: Sequence[str] = (),
) -> Columns:
    """The columns that the user named; those not named are guessed where one choice is sensible.

    Args:
        table: the data.
        text: the text columns, one or two; empty to guess one.
        target: the target column; None to guess it.
        with_target: False for data without answers: no target is chosen, and `target` is ignored.
        besides: columns that serve for something else; they must exist, and are not guessed.

    Raises:
        DataError: a named column does not exist, or a guess is not clear; all faults at once.
    """
    target = target if with_target else None
    faults = _named_faults(table, text, target, besides)
    if faults:
        raise DataError.of(_with_notes(faults, table))
    profiles = [_profile(table, name) for name in table.column_names if name not in besides]
    notes: list[str] = []
    if with_target and target is None:
        candidates = [p.name for p in profiles if _is_target_name(p.name) and p.name not in text]
        target = candidates[0] if len(candidates) == 1 else None
        if target is None:
            candidates = candidates or _label_columns(profiles, text)
            target = candidates[0] if len(candidates) == 1 else None
        if target is None:
            faults.append(_unclear("target", candidates, table))
        else:
            notes.append(f"target column: {target!r} (guessed; --target chooses another)")
    if not text:
        candidates = _text_columns(profiles, target, table)
        if len(candidates) == 1:
            text = candidates
            notes.append(f"text column: {text[0]!r} (guessed; --text chooses another)")
        else:
            faults.append(_unclear("text", candidates, table))
    if faults:
        raise DataError.of(_with_notes(faults, table))
    return Columns(tuple(text), target, tuple(notes))


def _with_notes(faults: list[Fault], table: Table) -> list[Fault]:
    """The faults, the last with how the file was read: it may be another sheet that was meant."""
    if not table.notes:
        return faults
    *others, last = faults
    mend = "; ".join(filter(None, (last.mend, *table.notes)))
    return [*others, Fault(last.what, last.where, mend)]


def _named_faults(
    table: Table, text: Sequence[str], target: str | None, besides: Sequence[str]
) -> list[Fault]:
    named = [*dict.fromkeys(text), *([target] if target is not None else []), *besides]
    known = set(table.column_names)
    faults = [missing_column(name, table) for name in dict.fromkeys(named) if name not in known]
    if len(text) > 2:
        mend = "name one column, or two for pairs of texts"
        faults.append(Fault(f"{len(text)} text columns are named", table.source, mend))
    if len(set(text)) < len(text):
        faults.append(Fault("a text column is named twice", table.source, "name it once"))
    if target in text:
        what = f"column {target!r} is named both as the text and as the target"
        faults.append(Fault(what, table.source, "name another column with --text or --target"))
    return faults


def _is_target_name(name: str) -> bool:
    return name.casefold() in TARGET_NAMES


def _label_columns(profiles: Sequence[_Profile], text: Sequence[str]) -> list[str]:
    return [p.name for p in profiles if p.is_label and p.name not in text]


def _text_columns(profiles: Sequence[_Profile], target: str | None, table: Table) -> list[str]:
    """Candidates for the text: prose, one named "text" first; else the only column left."""
    others = [profile for profile in profiles if profile.name != target]
    prose = [profile.name for profile in others if profile.is_prose]
    called = [p.name for p in others if p.name.casefold() == _TEXT_NAME]
    if len(prose) != 1 and len(called) == 1 and is_text(table.arrow.column(called[0]).type):
        return called
    if not prose and len(others) == 1:
        return [others[0].name]
    return prose


def _unclear(role: str, candidates: Sequence[str], table: Table) -> Fault:
    mend = f"name it with --{role}"
    if candidates:
        what = f"several columns could be the {role}: {listed(candidates, 30)}"
        return Fault(what, table.source, mend)
    what = f"no column looks like the {role}"
    return Fault(what, table.source, f"{mend}; the columns are {listed(table.column_names, 30)}")


def _profile(table: Table, name: str) -> _Profile:
    column = table.arrow.column(name)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _Profile(name, is_prose=False, is_label=True)
    if not _is_plain(column.type):
        return _Profile(name, is_prose=False, is_label=False)
    # Every k-th row rather than the first ones: files are often sorted by label.
    step = max(1, table.num_rows // _SAMPLE_ROWS)
    values = (column[row].as_py() for row in range(0, table.num_rows, step))
    sample = [value for value in values if value not in (None, "")]
    if not sample:
        return _Profile(name, is_prose=False, is_label=False)
    num_distinct = len(set(sample))
    is_prose = (
        is_text(column.type)
        and num_distinct >= _FEWEST_DISTINCT * len(sample)
        and sum(map(_num_words, sample)) >= _FEWEST_WORDS * len(sample)
    )
    few = 2 <= num_distinct <= min(_MOST_LABELS, len(sample) // 2)
    whole = not pa.types.is_floating(column.type) or all(v.is_integer() for v in sample)
    return _Profile(name, is_prose, few and whole and not is_prose)


def _num_words(text: str) -> float:
    return len(text.split()) + len(_UNSPACED.findall(text)) / 2


def is_text(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are texts."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
    )
