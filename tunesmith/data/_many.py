"""Several files as one table: the rows of one after those of another."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from tunesmith.data._suggest import did_you_mean, listed
from tunesmith.data._table import ArrowValues, Part, Table, as_text
from tunesmith.errors import DataError, Fault

__all__ = ["NamedFile", "files_of_pattern", "one_column", "one_table", "read_several"]

_MOST_FAULTS = 5
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class NamedFile:
    """One of several files.

    Attributes:
        source: what errors call it.
        name: what it is called among the others.
    """

    path: Path
    source: str
    name: str


def files_of_pattern(pattern: str) -> list[NamedFile]:
    """The files that a pattern such as "data/*.csv" or "data/**/*.csv" matches, sorted by name.

    Hidden files are none of them.

    Raises:
        DataError: it matches nothing, or folders only.
    """
    matches = sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207
    files = [match for match in matches if Path(match).is_file()]
    start = _plain_start(pattern)
    if not files:
        raise _no_match(pattern, start, bool(matches))
    base = start.expanduser()
    return [
        NamedFile(Path(file), str(start / Path(file).relative_to(base)), _name(file, base))
        for file in files
    ]


def _plain_start(pattern: str) -> Path:
    """The folder that a pattern begins with, as the user wrote it."""
    parts = Path(pattern).parts
    magic = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:magic])


def _name(file: str, base: Path) -> str:
    return Path(file).relative_to(base).as_posix()


def _no_match(pattern: str, start: Path, folders: bool) -> DataError:
    folder = start.expanduser()
    if folders:
        what, mend = "matches folders only", f"name what is in them: {Path(pattern) / '*'}"
    elif not folder.is_dir():
        what = f"no file matches: the folder {str(start)!r} does not exist"
        mend = f"check the path; it starts at {Path.cwd()}"
    else:
        what = "no file matches"
        names = sorted(child.name for child in folder.iterdir() if child.name[0] != ".")
        mend = f"the folder holds {listed(names, 5)}" if names else "the folder is empty"
    return DataError(what, where=pattern, mend=mend)


def read_several(
    files: Sequence[NamedFile], source: str, read: Callable[[Path, str], Table]
) -> Table:
    """The rows of all files, in the order given.

    Args:
        source: what all of them together are called.
        read: reads one file, by its path and what errors call it.

    Raises:
        DataError: files that cannot be read, or whose columns are not those of the others; of the
            first five each is named.
    """
    tables: list[Table] = []
    faults: list[Fault] = []
    for file in files:
        try:
            tables.append(read(file.path, file.source))
        except DataError as error:
            faults += error.faults
        if len(faults) >= _MOST_FAULTS:
            break
    if faults:
        raise DataError.of(faults)
    if len(files) == 1:
        return replace(tables[0], notes=(f"read {files[0].name}", *tables[0].notes))
    _check_columns(tables)
    parts = tuple(
        Part(file.name, table.num_rows, file.source)
        for file, table in zip(files, tables, strict=True)
    )
    return one_table(tables, source, parts)


def _check_columns(tables: Sequence[Table]) -> None:
    """Refuses files without the columns that most have, and files with more of them."""
    usual_set, _ = Counter(frozenset(table.column_names) for table in tables).most_common(1)[0]
    usual = next(table for table in tables if set(table.column_names) == usual_set)
    odd = [table for table in tables if set(table.column_names) != usual_set]
    faults = []
    for table in odd[:_MOST_FAULTS]:
        lacking = [name for name in usual.column_names if name not in table.column_names]
        more = [name for name in table.column_names if name not in usual_set]
        what = " and ".join(
            [f"lacks {_columns(lacking)}"] * bool(lacking)
            + [f"has {_columns(more)}, which {usual.source} has not"] * bool(more)
        )
        guess = did_you_mean(lacking[0], more) if lacking else ""
        mend = f"the columns of {usual.source} are {listed(usual.column_names, 30)}"
        faults.append(Fault(what, table.source, f"{guess} {mend}" if guess else mend))
    if len(odd) > _MOST_FAULTS:
        last = faults[-1]
        rest = f"{len(odd) - _MOST_FAULTS:,} more files differ; {last.mend}"
        faults[-1] = Fault(last.what, last.where, rest)
    if faults:
        raise DataError.of(faults)


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {listed(names, 5)}"


def one_table(tables: Sequence[Table], source: str, parts: tuple[Part, ...]) -> Table:
    """Tables with the same columns as one; a column of differing types becomes text.

    Nothing is copied where the types agree.
    """
    columns, mixed = [], []
    names = tables[0].column_names
    for name in names:
        column = one_column([table.arrow.column(name) for table in tables])
        columns.append(column)
        if _differ(table.arrow.column(name).type for table in tables):
            mixed.append(name)
    notes = [_files_note(parts), *_joint_notes(tables, parts)]
    if mixed:
        notes.append(f"read as text, for the files differ in its type: {_columns(mixed)}")
    return Table(pa.table(columns, names=names), source, tuple(notes), parts)


def _files_note(parts: Sequence[Part]) -> str:
    shown, first = [], 1
    for part in parts[:_MOST_NAMED]:
        last = first + part.num_rows - 1
        rows = f"rows {first:,}–{last:,}" if last > first else f"row {first:,}"
        shown.append(f"{part.name} {rows}")
        first = last + 1
    more = f" and {len(parts) - _MOST_NAMED:,} more" if len(parts) > _MOST_NAMED else ""
    return f"{len(parts):,} files: {', '.join(shown)}{more}"


def _joint_notes(tables: Sequence[Table], parts: Sequence[Part]) -> list[str]:
    """The notes of all files, each once, with the files that it is of where it is not of all."""
    files: dict[str, list[str]] = {}
    for table, part in zip(tables, parts, strict=True):
        for note in table.notes:
            files.setdefault(note, []).append(part.name)
    return [
        note if len(own) == len(tables) else f"{_some(own)}: {note}" for note, own in files.items()
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def one_column(chunks: Sequence[pa.Array | pa.ChunkedArray]) -> pa.ChunkedArray:
    """Arrays one after another; as text (or lists of texts) where their types differ."""
    known = {chunk.type for chunk in chunks} - {pa.null()}
    if not _differ(known):
        kind = _wide(known)
    elif any(pa.types.is_list(one) or pa.types.is_large_list(one) for one in known):
        kind = pa.list_(pa.string())
    else:
        kind = pa.string()
    arrays: list[pa.Array] = []
    for chunk in chunks:
        column = chunk if isinstance(chunk, pa.ChunkedArray) else pa.chunked_array([chunk])
        if column.type == kind:
            arrays += column.chunks
        elif not _differ(known):
            arrays += column.cast(kind).chunks
        else:
            arrays += [_as_kind(piece, kind) for piece in ArrowValues(column).pieces()]
    return pa.chunked_array(arrays, kind)


def _differ(kinds: Iterable[pa.DataType]) -> bool:
    """Whether values of these types are not alike; whole numbers of any width are, and texts."""
    return len({_family(kind) for kind in kinds} - {pa.null()}) > 1


def _family(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind):
        return pa.string()
    return pa.int64() if pa.types.is_signed_integer(kind) else kind


def _wide(kinds: set[pa.DataType]) -> pa.DataType:
    """The one type that values of alike types fit into."""
    if len(kinds) < 2:
        return next(iter(kinds), pa.null())
    whole = next(iter({_family(kind) for kind in kinds}))
    return pa.large_string() if pa.large_string() in kinds else whole


def _as_kind(piece: pa.Array, kind: pa.DataType) -> pa.Array:
    values = piece.to_pylist()
    if not pa.types.is_list(kind):
        return pa.array([as_text(value) for value in values], kind)
    lists = [value if isinstance(value, list | None) else [value] for value in values]
    return pa.array(
        [None if one is None else [as_text(value) for value in one] for one in lists], kind
    )
