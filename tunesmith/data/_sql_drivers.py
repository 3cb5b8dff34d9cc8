"""Databases that need a driver of their own: PostgreSQL through ADBC, and DuckDB."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from tunesmith.data._sql_address import SqlAddress
from tunesmith.data._suggest import did_you_mean, listed
from tunesmith.errors import DataError, MissingDependencyError

__all__ = ["read_duckdb", "read_postgresql"]

_CONNECT_TIMEOUT_S = 15
_HIDDEN = "***"
_READ_ONLY = "-c default_transaction_read_only=on"
_PASSWORD = re.compile(r"^([^:/@]*://[^:/@]*):(.*)@", re.DOTALL)
_TABLES = (
    "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema "
    "NOT IN ('information_schema', 'pg_catalog') ORDER BY table_schema = {home} DESC, 1, 2"
)


def read_postgresql(address: SqlAddress) -> pa.Table:
    """A table or query of PostgreSQL, as Arrow from the server on, in a read-only session.

    Source: Apache Arrow ADBC, `adbc_driver_postgresql`; the address is libpq's, so that PGPASSWORD
    and ~/.pgpass work.

    Raises:
        DataError: the server cannot be reached, refuses, or the SQL fails.
        MissingDependencyError: the driver is not installed.
    """
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise MissingDependencyError(
            "reading from PostgreSQL needs adbc_driver_postgresql, which is not installed",
            where=address.source,
            mend="pip install 'tunesmith[sql]'",
        ) from error
    uri, secrets = _libpq(address)
    with _Opened(dbapi, address, secrets, uri) as connection, connection.cursor() as cursor:
        query = address.query
        if not query:
            cursor.execute(_TABLES.format(home="'public'"))
            name = _chosen(address, cursor.fetchall(), "public")
            query = f"SELECT * FROM {name}"  # noqa: S608 - the name is quoted
        cursor.execute(query)
        arrow = cursor.fetch_arrow_table()
    return _plain(arrow)


def read_duckdb(address: SqlAddress) -> pa.Table:
    """A table or query of a DuckDB file, opened read-only and without access to other files.

    Raises:
        DataError: the file cannot be opened, or the SQL fails.
        MissingDependencyError: duckdb is not installed.
    """
    path = Path(address.file).expanduser()
    if not path.is_file():
        mend = f"check the path; it starts at {Path.cwd()}, or with four slashes at the root"
        raise DataError("no such file", where=address.source, mend=mend)
    try:
        import duckdb
    except ImportError as error:
        raise MissingDependencyError(
            "reading from DuckDB needs duckdb, which is not installed",
            where=address.source,
            mend="pip install 'tunesmith[sql]'",
        ) from error
    config = {"enable_external_access": "false"}
    options = {"read_only": True, "config": config}
    with _Opened(duckdb, address, (), str(path), **options) as connection:
        query = address.query
        if not query:
            tables = connection.execute(_TABLES.format(home="'main'")).fetchall()
            name = _chosen(address, tables, "main")
            query = f"SELECT * FROM {name}"  # noqa: S608 - the name is quoted
        relation = connection.sql(query)
        return pa.table({}) if relation is None else relation.to_arrow_table()


class _Opened:
    """A connection, whose failures are errors for the user, without the password."""

    def __init__(
        self,
        module: ModuleType,
        address: SqlAddress,
        secrets: tuple[str, ...],
        *given: Any,
        **more: Any,
    ) -> None:
        self._module = module
        self._address = address
        self._secrets = secrets
        self._given = given
        self._more = more
        self._connection: Any = None

    def __enter__(self) -> Any:
        try:
            self._connection = self._module.connect(*self._given, **self._more)
        except self._module.Error as error:
            mend = "check host, port, user and database; a password may be given as PGPASSWORD"
            if self._address.scheme == "duckdb":
                mend = "check that it is a DuckDB database of a version that duckdb can read"
            raise self._said("cannot be opened", error, mend) from None
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        self._connection.close()
        if isinstance(error, self._module.Error):
            mend = "run it in the database's own program until it works; only SELECT is run"
            raise self._said("the query fails", error, mend) from None

    def _said(self, what: str, error: Exception, mend: str) -> DataError:
        reason = " ".join(str(error).split())
        for secret in self._secrets:
            reason = reason.replace(secret, _HIDDEN)
        return DataError(f"{what}: {reason[:500]}", where=self._address.source, mend=mend)


def _libpq(address: SqlAddress) -> tuple[str, tuple[str, ...]]:
    """The address for libpq, read-only, and the passwords in it, which no error may show.

    A password of "***" was taken out when settings were written; libpq then looks elsewhere.
    """
    uri, secrets = address.database, []
    found = _PASSWORD.match(uri)
    if found:
        if found[2] == _HIDDEN:
            uri = f"{found[1]}@{uri[found.end() :]}"
        else:
            secrets += [found[2], unquote(found[2])]
    settings = []
    options = _READ_ONLY
    for setting in address.settings:
        name, _, value = setting.partition("=")
        if name == "options":
            options = f"{unquote(value)} {_READ_ONLY}"
        elif not (name.endswith("password") and value == _HIDDEN):
            settings.append(setting)
            secrets += [value, unquote(value)] * name.endswith("password")
    if not any(setting.startswith("connect_timeout=") for setting in settings):
        settings.append(f"connect_timeout={_CONNECT_TIMEOUT_S}")
    settings.append(f"options={quote(options)}")
    return f"{uri}?{'&'.join(settings)}", tuple(secret for secret in secrets if secret)


def _chosen(address: SqlAddress, tables: list[tuple[str, str]], home: str) -> str:
    """The table to read, quoted: the one that is named, or the only one."""
    named = {
        (name if schema == home else f"{schema}.{name}"): (schema, name)
        for schema, name in reversed(tables)
    }
    names = [*reversed(named)]
    wanted = address.table.removeprefix(f"{home}.") or (names[0] if len(names) == 1 else "")
    if wanted in named:
        return ".".join('"' + part.replace('"', '""') + '"' for part in named[wanted])
    told = f"the tables are {listed(names, 30)}"
    if address.table:
        what, mend = f"there is no table {address.table!r}", did_you_mean(address.table, names)
        raise DataError(what, where=address.source, mend=f"{mend} {told}".strip())
    if not names:
        what = "the database has no tables that this user may read"
        raise DataError(what, where=address.source)
    what = f"the database has {len(names):,} tables"
    raise DataError(what, where=address.source, mend=f"name one, ?table={names[0]}: {told}")


def _plain(arrow: pa.Table) -> pa.Table:
    """Types that only PostgreSQL has, as the text or bytes that they are kept in."""
    for place, field in enumerate(arrow.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            storage = pa.chunked_array(
                [chunk.storage for chunk in arrow.column(place).chunks], field.type.storage_type
            )
            arrow = arrow.set_column(place, field.name, storage)
    return arrow
