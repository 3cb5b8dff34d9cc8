"""JSON lines and JSON arrays of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

import pyarrow as pa

from tunesmith.data._long import LongText
from tunesmith.data._pieces import lines_of
from tunesmith.data._spill import ArrayStore
from tunesmith.data._table import ROWS_AT_ONCE, Table, check_names, empty_file, table_of
from tunesmith.errors import DataError, Fault

__all__ = ["parse_json", "parse_json_lines"]

_ARRAY = re.compile(r"\s*\[")
_MOST_FAULTS = 5
_KINDS = {str: "text", list: "a list", bool: "true or false", type(None): "null"}


class _KeyTwiceError(ValueError):
    """An object names a value twice, of which JSON's readers take the last one unseen."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise _KeyTwiceError(f"an object has the key {doubled!r} more than once")
    return whole


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def parse_json_lines(text: str | LongText, source: str) -> Table:
    """The table that one JSON object a line holds; keys that a line lacks are null.

    Raises:
        DataError: lines that are no JSON objects, by number; or no lines at all.
    """
    first = text if isinstance(text, str) else next(filter(str.strip, text.lines()), "")
    if _ARRAY.match(first):
        return parse_json(text if isinstance(text, str) else text.whole(), source)
    arrow = _in_pieces(_objects(text, source))
    if arrow is None:
        return _table(list(_objects(text, source)), source)
    check_names(arrow.column_names, source)
    return Table(arrow, source)


def _objects(text: str | LongText, source: str) -> Iterator[dict[str, Any]]:
    """The object on each line; that lines hold none is said at the end, of the first five."""
    faults: list[Fault] = []
    # Other line ends, such as U+2028, JSON allows inside a string.
    for number, line in enumerate(lines_of(text, newline="\n"), start=1):
        if not line.strip():
            continue
        try:
            value = _DECODER.decode(line.removesuffix("\n"))
        except _KeyTwiceError as error:
            faults.append(Fault(str(error), f"{source}, line {number}"))
        except (ValueError, RecursionError) as error:
            faults.append(Fault(f"not JSON: {_reason(error)}", f"{source}, line {number}"))
        else:
            if isinstance(value, dict):
                yield value
            else:
                what = f"holds {_kind(value)}, not an object"
                faults.append(Fault(what, f"{source}, line {number}"))
        if len(faults) == _MOST_FAULTS:
            break
    if faults:
        raise _with_mend(faults, 'each line must be an object: {"text": "…", "label": "…"}')


def _in_pieces(rows: Iterator[dict[str, Any]]) -> pa.Table | None:
    """The rows as Arrow, of which few are Python objects at a time.

    None where that cannot be: there are no values, or those of a column differ in type from one
    piece to the next, and what the column is can only be told from all of them.
    """
    places: dict[str, list[int]] = {}
    num_rows = 0
    with closing(ArrayStore()) as store:
        while piece := list(islice(rows, ROWS_AT_ONCE)):
            for name in dict.fromkeys(key for row in piece for key in row):
                if name not in places:
                    places[name] = [len(store)]
                    store.add(pa.nulls(num_rows))
            for name, own in places.items():
                try:
                    array = pa.array([row.get(name) for row in piece])
                except (pa.ArrowException, OverflowError, UnicodeEncodeError):
                    return None
                if isinstance(array, pa.ChunkedArray):
                    return None
                own.append(len(store))
                store.add(array)
            num_rows += len(piece)
        arrays = store.finish()
    columns = [_one_type([arrays[place] for place in own]) for own in places.values()]
    whole = [column for column in columns if column is not None]
    return pa.table(whole, names=list(places)) if whole and len(whole) == len(columns) else None


def _one_type(chunks: list[pa.Array]) -> pa.ChunkedArray | None:
    kinds = {chunk.type for chunk in chunks} - {pa.null()}
    if len(kinds) > 1:
        return None
    kind = kinds.pop() if kinds else pa.null()
    typed = [pa.nulls(len(one), kind) if pa.types.is_null(one.type) else one for one in chunks]
    return pa.chunked_array(typed, kind)


def parse_json(text: str, source: str) -> Table:
    """The table that a JSON array of objects holds, or an object whose only list is one.

    A file that holds one object a line is read as JSON lines, whatever its suffix.

    Raises:
        DataError: not JSON, or no list of objects.
    """
    if not text.strip():
        raise empty_file(source)
    try:
        value = _DECODER.decode(text)
    except _KeyTwiceError as error:
        raise DataError(str(error), where=source, mend="name each value once") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            table = parse_json_lines(text, source)
            return Table(table.arrow, source, ("read as JSON lines: one object a line",))
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"not JSON: {_reason(error)}", where=f"{source}{line}") from error
    value, notes = _unwrap(value)
    mend = 'give a list of objects: [{"text": "…", "label": "…"}, …]'
    if not isinstance(value, list):
        raise DataError(f"holds {_kind(value)}, not a list of objects", where=source, mend=mend)
    faults = [
        Fault(f"is {_kind(item)}, not an object", f"{source}, item {number}")
        for number, item in enumerate(value, start=1)
        if not isinstance(item, dict)
    ]
    if faults:
        raise _with_mend(faults[:_MOST_FAULTS], mend)
    return _table(value, source, notes)


def _unwrap(value: Any) -> tuple[Any, list[str]]:
    if isinstance(value, dict):
        lists = [key for key, inner in value.items() if isinstance(inner, list)]
        if len(lists) == 1 and all(isinstance(item, dict) for item in value[lists[0]]):
            return value[lists[0]], [f"rows are read from the list {lists[0]!r}"]
        return [value], []
    return value, []


def _table(rows: list[dict[str, Any]], source: str, notes: Iterable[str] = ()) -> Table:
    if not rows:
        raise DataError("there are no rows", where=source)
    names = list(dict.fromkeys(key for row in rows for key in row))
    check_names(names, source)
    if not names:
        raise DataError("the objects are empty", where=source)
    return table_of(names, ([row.get(name) for row in rows] for name in names), source, notes)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _kind(value: object) -> str:
    return "an object" if isinstance(value, Mapping) else _KINDS.get(type(value), "a number")


def _with_mend(faults: list[Fault], mend: str) -> DataError:
    last = faults[-1]
    return DataError.of([*faults[:-1], Fault(last.what, last.where, mend)])
