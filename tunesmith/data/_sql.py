"""Tables and queries of a database, read some thousand rows at a time; nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from tunesmith.data._many import one_column
from tunesmith.data._sql_address import SqlAddress, parse_sql_address
from tunesmith.data._sql_drivers import read_duckdb, read_postgresql
from tunesmith.data._suggest import did_you_mean, listed
from tunesmith.data._table import ROWS_AT_ONCE, Table, check_names, column_array
from tunesmith.errors import DataError

__all__ = ["SQL_SCHEMES", "read_sql"]

_READ_ONLY = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_SIGNATURE = b"SQLite format 3\0"
_WRITE_AHEAD_LOG = 2


def read_sql(address: str) -> Table:
    """The table or the query that an address names.

    `sqlite:///shop.db?table=tickets`, `postgresql://ann@host/shop?query=SELECT …`,
    `duckdb:///shop.duckdb`. A database with a single table needs no name.

    Raises:
        DataError: the address is none, the database cannot be opened, or the SQL fails.
        MissingDependencyError: the driver is not installed.
    """
    parsed = parse_sql_address(address)
    arrow = _READERS[parsed.scheme](parsed)
    if not arrow.num_columns:
        raise DataError("the query gives no columns", where=parsed.source, mend="begin with SELECT")
    check_names([str(name) for name in arrow.column_names], parsed.source)
    if not arrow.num_rows:
        raise DataError("there are no rows", where=parsed.source)
    return Table(arrow.replace_schema_metadata(None), parsed.source)


def _read_sqlite(address: SqlAddress) -> pa.Table:
    path = _sqlite_file(address)
    with _explained(address), closing(_open(path)) as database:
        database.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        query = address.query
        if not query:
            name = _quoted(_table(address, _tables(database)))
            query = f"SELECT * FROM {name}"  # noqa: S608 - the name is quoted
        # Whatever the SQL says: nothing but reading, and no other file.
        database.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_OK if action in _READ_ONLY else sqlite3.SQLITE_DENY
        )
        try:
            return _fetch(database.execute(query))
        except sqlite3.Error as error:
            database.set_authorizer(None)
            raise _failed(error, address, _tables(database)) from error


def _sqlite_file(address: SqlAddress) -> Path:
    name = address.file
    path = Path(name).expanduser()
    if not path.is_file():
        if Path(f"/{name}").is_file():
            mend = f"four slashes begin a path at the root: sqlite:////{name}"
        elif path.parent.is_dir():
            mend = did_you_mean(path.name, (child.name for child in path.parent.iterdir()))
        else:
            mend = ""
        what = "is a folder, not a database" if path.is_dir() else "no such file"
        mend = mend or f"check the path; it starts at {Path.cwd()}"
        raise DataError(what, where=address.source, mend=mend)
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            mend = "give the database itself, or read a csv by its path"
            raise DataError("is not an SQLite database", where=address.source, mend=mend)
    return path


def _open(path: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    mode = "mode=ro"
    with path.open("rb") as file:
        file.seek(18)
        has_log = file.read(1) == bytes([_WRITE_AHEAD_LOG])
    if has_log and not Path(f"{path}-wal").exists():
        # Even to read, SQLite would make files beside a database that is kept with such a log.
        mode = "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?{mode}", uri=True)


def _tables(database: sqlite3.Connection) -> list[str]:
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    return [str(name) for (name,) in rows]


def _table(address: SqlAddress, names: list[str]) -> str:
    """The table to read: the one that is named, or the only one."""
    if address.table:
        return address.table
    if len(names) == 1:
        return names[0]
    if not names:
        raise DataError("the database has no tables", where=address.source)
    raise DataError(
        f"the database has {len(names):,} tables",
        where=address.source,
        mend=f"name one, ?table={names[0]}: {listed(names, 30)}",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fetch(cursor: sqlite3.Cursor) -> pa.Table:
    """All rows as Arrow, of which few are Python objects at a time."""
    names = [column[0] for column in cursor.description or ()]
    chunks: list[list[pa.Array]] = [[] for _ in names]
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        for own, values in zip(chunks, zip_longest(*rows), strict=True):
            array = column_array(values)
            own += array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    return pa.table([one_column(own) for own in chunks], names=names)


@contextmanager
def _explained(address: SqlAddress) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        mend = "copy the database again, whole"
        if "locked" in str(error) or "busy" in str(error):
            mend = "wait until the program that writes to it has finished, or close it"
        what = f"cannot be read as an SQLite database: {error}"
        raise DataError(what, where=address.source, mend=mend) from error


def _failed(error: sqlite3.Error, address: SqlAddress, tables: list[str]) -> DataError:
    message = str(error)
    mend = f"the tables are {listed(tables, 30)}" if tables else "the database has no tables"
    if "prohibited" in message or "not authorized" in message or "readonly" in message:
        what, mend = f"the query does more than read: {message}", "only SELECT is run"
    elif "no such table" in message:
        guess = did_you_mean(message.rpartition(": ")[2], tables)
        what, mend = f"the query fails: {message}", f"{guess} {mend}".strip()
    elif "one statement" in message:
        what, mend = f"the query fails: {message}", "give one SELECT, without what follows ';'"
    elif "UTF-8" in message:
        what = f"a value is no text: {message.splitlines()[0]}"
        mend = "leave its column out: ?query=SELECT text, label FROM …"
    else:
        what = f"the query fails: {message}"
    return DataError(what, where=address.source, mend=mend)


_READERS: Mapping[str, Callable[[SqlAddress], pa.Table]] = {
    "duckdb": read_duckdb,
    "postgresql": read_postgresql,
    "sqlite": _read_sqlite,
}
SQL_SCHEMES = ("duckdb", "postgres", "postgresql", "sqlite")
"""How the addresses begin that `read_sql` reads, before "://"."""
